#!/usr/bin/python3
"""Makes a real cloud for dimwatch_calibration out of sentences, one a line.

text_cloud.py SENTENCES.txt OUT.npy embeds one random word of every sentence in its context: word
vectors from how often words meet (positive pointwise mutual information, 64 singular vectors),
averaged over three words to each side. One word a sentence keeps the rows independent.
"""

import re
import sys
from collections import Counter
from pathlib import Path

import numpy

WORDS, DIM, REACH = 2000, 64, 3


def word_vectors(sentences):
    meetings = numpy.zeros((WORDS, WORDS))
    for sentence in sentences:
        for i, word in enumerate(sentence):
            for other in sentence[max(0, i - 4):i]:
                meetings[word, other] += 1
                meetings[other, word] += 1
    rows = meetings.sum(1, keepdims=True) + 1
    information = numpy.log((meetings + 1e-9) * meetings.sum() / (rows * rows.T))
    vectors, values, _ = numpy.linalg.svd(numpy.maximum(information, 0))
    return vectors[:, :DIM] * numpy.sqrt(values[:DIM])


def main(source, target):
    texts = [re.findall(r"[a-z']+", line.lower()) for line in Path(source).open()]
    counts = Counter(word for text in texts for word in text)
    index = {word: i for i, (word, _) in enumerate(counts.most_common(WORDS))}
    sentences = [[index[word] for word in text if word in index] for text in texts]
    vectors = word_vectors(sentences)
    random = numpy.random.default_rng(1)
    cloud = []
    for sentence in (s for s in sentences if len(s) >= 4):
        i = random.integers(len(sentence))
        near = range(max(0, i - REACH), min(len(sentence), i + REACH + 1))
        cloud.append(sum(vectors[sentence[j]] / (1 + abs(i - j)) for j in near))
    numpy.save(target, numpy.array(cloud, numpy.float32))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
