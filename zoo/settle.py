"""Random weights that mean something.

A freshly made network is a poor test: its batch norms pass their input through, its biases,
last layers and layer scales are zero, and a signal may grow or fade by orders of magnitude on
its way. `settle` makes such a network behave like a trained one as far as numbers go:

1. Parameters that are constant (zeros, ones, layer scales of 1e-6) become random ones.
2. While it looks at pictures once, each batch norm takes the statistics of what arrives and
   each product whose output is far from unit spread is scaled. As every layer does so before
   it passes its numbers on, one look suffices.
"""
import torch
from torch import nn
from torchvision.models.mobilenetv3 import InvertedResidual
from torchvision.ops.misc import FrozenBatchNorm2d

PRODUCTS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Conv3d)
NORMS = (nn.BatchNorm2d, FrozenBatchNorm2d, nn.BatchNorm1d, nn.BatchNorm3d)

def spread_parameters(model, g):
    def normal(t):
        return torch.randn(t.shape, generator=g, dtype=torch.float32).to(t.dtype)

    tensors = dict(model.named_parameters())
    for name, module in model.named_modules():
        if isinstance(module, FrozenBatchNorm2d):
            tensors[name + ".weight"], tensors[name + ".bias"] = module.weight, module.bias
    for name, p in tensors.items():
        if not p.is_floating_point() or p.numel() == 0:
            continue
        if "position_bias_table" in name:
            p.copy_(0.5 * normal(p))
        elif "pos_embedding" in name or name.endswith("_token"):
            p.copy_(0.3 * normal(p))
        elif p.numel() == 1 or p.min() != p.max():
            continue
        elif abs(c := float(p.flatten()[0])) < 1e-12:
            matrix = p.ndim >= 2 and p.shape[0] > 1
            p.copy_(normal(p) * ((p.numel() / p.shape[0]) ** -0.5 if matrix else 0.1))
        elif abs(c) < 1e-2:  # a layer scale
            p.copy_(0.5 + 0.1 * normal(p))
        else:
            p.copy_(c * (1 + 0.15 * normal(p)).clamp(0.5, 1.5))


def settle_norm(module, args):
    if getattr(module, "settled", False):
        return
    module.settled = True
    x = args[0].transpose(0, 1).flatten(1)
    if x.shape[1] >= 8:
        mean, var = x.mean(1), x.var(1)
    else:  # too few numbers for statistics of each channel
        mean, var = torch.zeros(x.shape[0]), (x * x).mean().expand(x.shape[0])
    module.running_mean.copy_(mean)
    module.running_var.copy_(torch.maximum(var, 0.05 * var.mean()) + 1e-6)


def centre(module, args, y):
    """Move the bias so that each channel of y lies near zero."""
    axes = [i for i in range(y.ndim) if i != (1 if y.ndim == 4 else y.ndim - 1)]
    if y.numel() // len(module.bias) < 16:
        return y
    mean = y.mean(axes)
    module.bias.sub_(mean - 0.1 * mean / mean.abs().max().clamp(min=1e-6))
    return module.forward(*args)


def settle_product(name, spreads, centred_names):
    spread = next((s for part, s in spreads if part in name), None)
    centred = any(part in name for part in centred_names)

    def hook(module, args, y):
        if getattr(module, "settled", False):
            return None
        module.settled = True
        s = float(y.std()) if y.numel() > 1 else 0.0
        want = spread or (1.0 if s < 0.7 or s > 1.4 else s)
        if s < 1e-20 or s == want:
            return None
        if centred and module.bias is not None:
            s = float(centre(module, args, y).std())
        module.weight.mul_(want / s)
        y = module.forward(*args)
        return centre(module, args, y) if centred and module.bias is not None else y

    return hook


def settle_attention(module, args):
    """Queries and keys in the middle and wide enough that attention chooses: scores of spread
    2.5; values in the middle, so that what was chosen is seen in the sum."""
    if getattr(module, "settled", False) or len(args) < 3 or module.in_proj_weight is None:
        return
    module.settled = True
    width = module.embed_dim
    for i, (x, want) in enumerate(zip(args, (1.6, 1.6, 1.0))):
        w = module.in_proj_weight[i * width:(i + 1) * width]
        b = module.in_proj_bias[i * width:(i + 1) * width]
        y = (x @ w.T).reshape(-1, width)
        mean = y.mean(0)
        s = float((y - mean).pow(2).mean().sqrt())
        if s < 1e-6:
            continue
        w.mul_(want / s)
        b.sub_(mean * (want / s))


def calm(model):
    """Let each residual branch add little, as trained ones do. Where all branches add as much as
    they are given, rounding grows from block to block: PyTorch's float32 and float64 are then
    1e-4 apart."""
    with torch.no_grad():
        for name, m in model.named_modules():
            if name.endswith("bn3"):
                m.weight.fill_(0.25)
            elif isinstance(m, InvertedResidual) and m.use_res_connect:
                m.block[-1][1].weight.fill_(0.25)


def settle(model, look, seed, spreads=(), centred=()):
    """Make the weights of `model` meaningful; look() runs it once on pictures.
    spreads: (part of a layer's name, the standard deviation of its output wanted), ...
    centred: parts of names of layers whose output is to lie around zero in each channel."""
    g = torch.Generator().manual_seed(seed)
    model.eval()
    hooks = []
    with torch.no_grad():
        spread_parameters(model, g)
        for name, m in model.named_modules():
            if isinstance(m, NORMS) and getattr(m, "running_mean", None) is not None:
                hooks.append(m.register_forward_pre_hook(settle_norm))
            elif isinstance(m, nn.MultiheadAttention):
                hooks.append(m.register_forward_pre_hook(settle_attention))
            elif isinstance(m, PRODUCTS):
                hooks.append(m.register_forward_hook(settle_product(name, spreads, centred)))
        look()
    for h in hooks:
        h.remove()
