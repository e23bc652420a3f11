"""`konv.callbacks`: what happens beside the training loop: records, progress, checkpoints, early ends.

`fit`, `evaluate` and `predict` call each callback's methods as they go on, with Keras's names and arguments:
see `Callback`.
"""

from konv.callbacks.base import Callback
from konv.callbacks.base import Logs as Logs
from konv.callbacks.base import checked as checked
from konv.callbacks.callback_list import CallbackList as CallbackList
from konv.callbacks.checkpoint import ModelCheckpoint
from konv.callbacks.csv_logger import CSVLogger
from konv.callbacks.history import History
from konv.callbacks.lambda_callback import LambdaCallback
from konv.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from konv.callbacks.progress_bar import Advance as Advance
from konv.callbacks.progress_bar import logs_text as logs_text
from konv.callbacks.progress_bar import no_progress as no_progress
from konv.callbacks.progress_bar import progress as progress
from konv.callbacks.progress_bar import sample_bar as sample_bar
from konv.callbacks.stopping import EarlyStopping, TerminateOnNaN

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]


def __dir__() -> list[str]:
    return __all__
