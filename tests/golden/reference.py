"""Makes the reference values that README.md marks with (reference.py), from the clouds beside it.

Needs scikit-dimension 0.3.4 and dadapy 0.3.4 (numpy 1.26): python3 -m venv V && V/bin/pip install
scikit-dimension==0.3.4 dadapy==0.3.4. Not part of the build.
"""

import json
import pathlib

import numpy as np
from dadapy import Data
from scipy.spatial.distance import cdist
from skdim.id import MLE, MOM

HERE = pathlib.Path(__file__).parent
SEED = 1


def save(cloud, name, values):
    np.save(HERE / f"{cloud}.{name}.npy", np.asarray(values, np.float64))


def local_twonn_upper(rows, neighbors):
    """DADApy's TwoNN (F = k / L, discard 0.1) inside the neighborhood of each point."""
    lids = []
    for i, distances in enumerate(cdist(rows, rows)):
        distances[i] = np.inf
        patch = rows[np.argsort(distances, kind="stable")[:neighbors]]
        data = Data(coordinates=patch, maxk=3, verbose=False)
        lids.append(data.compute_id_2NN(algorithm="base", mu_fraction=0.9)[0])
    return lids


def twonn_scaling(rows):
    """DADApy's TwoNN by maximum likelihood, of random subsets of N, N / 2, N / 4, ... points."""
    np.random.seed(SEED)
    data = Data(coordinates=rows, maxk=3, verbose=False)
    sizes = data.return_id_scaling_2NN(n_min=60, algorithm="ml", return_sizes=True)[2]
    np.random.seed(SEED)
    ids, errors, radii = data.return_id_scaling_2NN(n_min=60, algorithm="ml")
    return {"points": sizes.tolist(), "id": ids.tolist(), "error": errors.tolist(),
            "mean_radius": radii.tolist()}


for file in sorted(HERE.glob("*.json")):
    cloud, values = file.stem, json.loads(file.read_text())
    rows = np.load(HERE / f"{cloud}.npy").astype(np.float64)
    for neighbors in (20, 100):
        for name, estimator in (("mle", MLE()), ("mom", MOM())):
            pointwise = estimator.fit(rows, n_neighbors=neighbors).dimension_pw_
            np.testing.assert_allclose(pointwise[:5], values[f"{name}_k{neighbors}"]["first5"],
                                       rtol=1e-9)
            save(cloud, f"{name}_k{neighbors}", pointwise)
    upper = local_twonn_upper(rows, 64)
    np.testing.assert_allclose(np.mean(upper), values["twonn_local_k64"]["upper"]["mean"],
                               rtol=1e-6)
    save(cloud, "twonn_local_k64_upper", upper)
    values["twonn_scaling"] = twonn_scaling(rows)
    file.write_text(json.dumps(values, indent=1) + "\n")
    print(cloud)
