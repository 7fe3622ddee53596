"""Watches layers of a PyTorch model: dimwatch.torch.watch(run, model, layers=..., ...), and their
attention: dimwatch.torch.watch_attention(...). Agrees on a stop: dimwatch.torch.any_rank(...)."""

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


def watch_attention(run, model, layers, probe_batches, every, split="validation", epsilon=None,
                    relative=False):
    """Counts the attention of layers of `model` on fixed prompts every `every` optimizer steps;
    returns a Watch.

    layers: names as in model.named_modules(), or {name in the probe: module}; the first and the
    last layer are what is compared. The map of a module is the first tensor (prompts, heads, T, T)
    of its output, which it may have to be asked for, as with output_attentions=True in a batch of a model
    of transformers; a torch.nn.MultiheadAttention is asked by itself. A module without a map warns
    once and is skipped. (torch.nn.TransformerEncoderLayer calls no module for its attention.)
    probe_batches: as for watch(); an "attention_mask" (prompts, T) in a dict says where the padding
    is. epsilon, relative: as for Run.attention_probe; probes are named "<split>/<layer>". Maps are
    taken in evaluation mode, so without dropout.
    """
    return AttentionWatch(run, model, layers, probe_batches, every, split, epsilon, relative)


def any_rank(flag, group=None):
    """Whether `flag` holds on any rank of torch.distributed; the same answer on all of them:

        if dimwatch.torch.any_rank(run.should_stop()):
            break

    An all-reduce of one number: every rank of `group` (default: all) calls it at the same step,
    whether its run is enabled or not, and whatever became of its server, which it does not wait
    for. Without torch.distributed it is `flag`.
    """
    distributed = torch.distributed
    if not distributed.is_available() or not distributed.is_initialized():
        return bool(flag)
    device = "cuda" if distributed.get_backend(group) == "nccl" else "cpu"
    said = torch.tensor([int(flag)], device=device)
    distributed.all_reduce(said, op=distributed.ReduceOp.MAX, group=group)
    return bool(said.item())


class Watch:
    """Fixed inputs, sent through the model now and then. Not thread-safe: the training thread's."""

    def __init__(self, run, model, layers, probe_batches, every, split, probe_settings):
        settings = {"split": split, "aligned": True, **probe_settings}
        self._start(model, layers, probe_batches, every,
                    lambda name: run.probe(f"{split}/{name}", **settings))

    def _start(self, model, layers, probe_batches, every, make_probe):
        self._model, self._every = model, every
        self._batches = list(probe_batches)
        if layers == "all":
            layers = _blocks(model)
        elif not isinstance(layers, dict):
            modules = dict(model.named_modules())
            layers = {name: modules[name] for name in layers}
        self._probes = {module: make_probe(name) for name, module in layers.items()}

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
                hooks.enter_context(self._catching(module, outputs))
            for number, batch in enumerate(self._batches, 1):
                outputs.clear()
                mask = self._call(batch)
                for module, output in outputs.items():
                    self._log(self._probes[module], output, step, mask,
                              end=number == len(self._batches))

    def _catching(self, module, outputs):
        """Keeps the module's outputs while it is entered."""
        return _removing(module.register_forward_hook(
            lambda module, _, output: outputs.__setitem__(module, output)))

    def _log(self, probe, output, step, mask, end):
        hidden = output[0] if isinstance(output, (tuple, list)) else output
        probe.log(hidden, step=step, end=end, mask=mask if hidden.dim() == 3 else None)

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


class AttentionWatch(Watch):
    """A Watch of attention maps."""

    def __init__(self, run, model, layers, probe_batches, every, split, epsilon, relative):
        self._start(model, layers, probe_batches, every, lambda name: run.attention_probe(
            f"{split}/{name}", split=split, epsilon=epsilon, relative=relative))
        self._run = run
        self._prompts = {}  # by probe: prompts logged of the present step

    def probe(self, step):
        self._prompts = {}
        super().probe(step)

    def _catching(self, module, outputs):
        stack = contextlib.ExitStack()
        stack.enter_context(super()._catching(module, outputs))
        if isinstance(module, torch.nn.MultiheadAttention):
            stack.enter_context(_returning_weights(module))
        return stack

    def _log(self, probe, output, step, mask, end):
        outputs = output if isinstance(output, (tuple, list)) else (output,)
        maps = next((o for o in outputs if isinstance(o, torch.Tensor) and o.dim() == 4
                     and o.shape[2] == o.shape[3]), None)
        if maps is None:
            self._run._bad_maps(f"{probe.name}: the module returned no attention map (prompts, "
                                "heads, T, T); ignored")
            return
        first = self._prompts.get(probe, 0)
        self._prompts[probe] = first + len(maps)
        probe.log(maps, step=step, mask=mask, end=end,
                  prompt_ids=range(first, first + len(maps)))


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
def _removing(handle):
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def _returning_weights(attention):
    """Lets a torch.nn.MultiheadAttention return the weights of each head, whoever calls it."""
    forward = attention.forward

    def asking(*args, **kwargs):
        return forward(*args, **{**kwargs, "need_weights": True, "average_attn_weights": False})

    attention.forward = asking
    try:
        yield
    finally:
        del attention.forward


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
