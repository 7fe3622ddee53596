"""A corpus of small real training runs, recorded as traces for `dimwatch replay`.

    PYTHONPATH=build/python:client/python/examples python3 -m corpus --out FOLDER [--data FOLDER]

runs.py is the table of runs, training.py the loop that they share, truth.py says what became of a
run; modular.py, vectors.py, contrastive.py, language.py, emotion.py and belief.py are the tasks.
docs/corpus.md describes the whole.
"""
