"""The CNN of the classic course, as its Keras script has it: only the imports differ.

    python examples/mnist_cnn.py [mnist | fashion_mnist | digits]

Two pairs of convolutions, batch normalisation, max pooling, two dense layers: 601,578 parameters for images
of 28x28 pixels. It trains for a few epochs and asserts what the network must reach on the test images.
"""

import sys

from konv import datasets
from konv.layers import Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from konv.models import Sequential
from konv.utils import set_random_seed, to_categorical

# Epochs, images per step, and the accuracy to reach on the test images.
SETTINGS = {"mnist": (3, 128, 0.985), "fashion_mnist": (3, 128, 0.89), "digits": (15, 16, 0.97)}

name = (sys.argv[1] if len(sys.argv) > 1 else "mnist").replace("-", "_")
if name not in SETTINGS:
    sys.exit(f"mnist_cnn.py: DATASET must be one of {', '.join(SETTINGS)}, received {sys.argv[1]!r}")
epochs, batch_size, accuracy_to_reach = SETTINGS[name]
dataset = getattr(datasets, name)
set_random_seed(1)

(X_train, y_train), (X_test, y_test) = dataset.load_data()
X_train = X_train[..., None].astype("float32") / dataset.MAX_PIXEL
X_test = X_test[..., None].astype("float32") / dataset.MAX_PIXEL
Y_train = to_categorical(y_train, 10)
Y_test = to_categorical(y_test, 10)
padding = "valid" if X_train.shape[1] >= 24 else "same"  # little is left of small images without padding

model = Sequential()

model.add(Conv2D(32, (3, 3), padding=padding, input_shape=X_train.shape[1:]))
model.add(Activation("relu"))
model.add(BatchNormalization(axis=-1))
model.add(Conv2D(32, (3, 3), padding=padding))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2)))

model.add(BatchNormalization(axis=-1))
model.add(Conv2D(64, (3, 3), padding=padding))
model.add(Activation("relu"))
model.add(BatchNormalization(axis=-1))
model.add(Conv2D(64, (3, 3), padding=padding))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2)))

model.add(Flatten())
model.add(BatchNormalization())
model.add(Dense(512))
model.add(Activation("relu"))
model.add(BatchNormalization())
model.add(Dropout(0.2))
model.add(Dense(10))
model.add(Activation("softmax"))

model.summary()
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(X_train, Y_train, batch_size=batch_size, epochs=epochs, verbose=1, validation_data=(X_test, Y_test))

score = model.evaluate(X_test, Y_test, verbose=0)
print("Test loss:", score[0])
print("Test accuracy:", score[1])

assert name == "digits" or model.count_params() == 601_578
assert score[1] >= accuracy_to_reach, f"{score[1]:.4f}, at least {accuracy_to_reach} expected"
