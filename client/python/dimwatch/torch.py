"""Watches layers of a PyTorch model: dimwatch.torch.watch(run, model, layers=..., ...)."""

import contextlib

import torch


def watch(run, model, layers, probe_batches, every, split="validation", **probe_settings):
    """Probes layers of `model` on fixed inputs every `every` optimizer steps; returns a Watch.

    layers: names as in model.named_modules(), {name in the probe: module}, or "all": the blocks of
    the longest torch.nn.ModuleList or Sequential in the model, which is a transformer's depth.
    probe_batches: what
    the model is called with: tensors, tuples (positional) or dicts (keyword arguments); an
    "attention_mask" (B, T) in a dict masks (B, T, D) outputs. They are moved to the device of the
    model's first parameter. A layer's output is its tensor, or the first of a tuple. split and
    probe_settings: as for Run.probe; probes are named "<split>/<layer>". Call `step(n)` after each
    optimizer step. Raises KeyError for a layer that the model lacks, ValueError for "all" of a model
    without such a list.
    """
    return Watch(run, model, layers, probe_batches, every, split, probe_settings)


class Watch:
    """Fixed inputs, sent through the model now and then. Not thread-safe: the training thread's."""

    def __init__(self, run, model, layers, probe_batches, every, split, probe_settings):
        self._model, self._every = model, every
        self._batches = list(probe_batches)
        if layers == "all":
            layers = _blocks(model)
        elif not isinstance(layers, dict):
            modules = dict(model.named_modules())
            layers = {name: modules[name] for name in layers}
        settings = {"split": split, "aligned": True, **probe_settings}
        self._probes = {
            module: run.probe(f"{split}/{name}", **settings) for name, module in layers.items()}

    def step(self, step):
        """Probes the model if `step` is due. Training is not disturbed: the random state and every
        module's training flag are restored, and no gradients are recorded."""
        if step % self._every == 0:
            self.probe(step)

    @torch.no_grad()
    def probe(self, step):
        """Probes the model now."""
        with _evaluating(self._model), contextlib.ExitStack() as hooks:
            outputs = {}
            for module in self._probes:
                handle = module.register_forward_hook(
                    lambda module, _, output: outputs.__setitem__(module, output))
                hooks.callback(handle.remove)
            for number, batch in enumerate(self._batches, 1):
                outputs.clear()
                mask = self._call(batch)
                for module, output in outputs.items():
                    hidden = output[0] if isinstance(output, (tuple, list)) else output
                    self._probes[module].log(
                        hidden, step=step, end=number == len(self._batches),
                        mask=mask if hidden.dim() == 3 else None)

    def _call(self, batch):
        """Runs the model on a batch; returns its mask of rows that count, or None."""
        device = next(self._model.parameters()).device
        if isinstance(batch, dict):
            batch = {name: _to(value, device) for name, value in batch.items()}
            self._model(**batch)
            return batch.get("attention_mask")
        inputs = batch if isinstance(batch, (tuple, list)) else (batch,)
        self._model(*(_to(value, device) for value in inputs))
        return None


def _blocks(model):
    """The entries of the model's longest list of modules, by name: the first such list."""
    lists = [(name, module) for name, module in model.named_modules()
             if isinstance(module, (torch.nn.ModuleList, torch.nn.Sequential)) and len(module) > 1]
    if not lists:
        raise ValueError('layers="all": the model has no ModuleList or Sequential; name its layers')
    prefix, blocks = max(lists, key=lambda entry: len(entry[1]))
    return {f"{prefix}.{name}" if prefix else name: block for name, block in blocks.named_children()}


def _to(value, device):
    return value.to(device) if isinstance(value, torch.Tensor) else value


@contextlib.contextmanager
def _evaluating(model):
    """Evaluation mode, with every module's flag and the random state put back afterwards."""
    flags = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        for module, training in flags:
            module.training = training
