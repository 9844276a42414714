"""Keras, on the backend that KERAS_BACKEND names."""

from __future__ import annotations

import keras

from .data import task

job, out = task()
keras.utils.set_random_seed(1)
layers = [keras.Input((job.train[0].shape[1],)), keras.layers.Dense(job.units, "relu")]
if job.dropout:
    layers.append(keras.layers.Dropout(job.dropout))
model = keras.Sequential([*layers, keras.layers.Dense(10, "softmax")])
rate = job.learning_rate
if job.decay_steps is not None:
    rate = keras.optimizers.schedules.CosineDecay(rate, job.decay_steps)
optimizer = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}[job.optimizer](rate)
model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(*job.train, batch_size=job.batch_size, epochs=job.epochs, verbose=2)
_, accuracy = model.evaluate(*job.test, batch_size=job.batch_size, verbose=0)
model.save(out.with_suffix(".keras"))
print(f"accuracy {accuracy:.4f}")
