"""A classifier of the sizes of MobileViT-S (Mehta and Rastegari 2021), random weights.

Inverted residuals as in MobileNetV2, with SiLU; in three places a block that sees everything:
a 3x3 and a 1x1 convolution, the map cut into patches of 2x2 pixels, a transformer among the
pixels that lie at the same place of their patches, the patches put together, a 1x1 convolution,
what came in beside it, and a 3x3 convolution over both. 5,578,632 numbers.

    import mobilevit; model = mobilevit.build(1)    pictures f32 [N,3,H,W], H and W whole patches
                                                    at a 32nd: multiples of 64
"""
import torch
from torch import nn

PATCH = 2


def conv(a, b, side=1, stride=1, groups=1, act=True):
    layers = [nn.Conv2d(a, b, side, stride, side // 2, groups=groups, bias=False),
              nn.BatchNorm2d(b)]
    return nn.Sequential(*layers, *([nn.SiLU()] if act else []))


class Inverted(nn.Module):
    def __init__(self, a, b, stride=1, expand=4):
        super().__init__()
        wide = a * expand
        self.body = nn.Sequential(conv(a, wide), conv(wide, wide, 3, stride, wide),
                                  conv(wide, b, act=False))
        self.same = a == b and stride == 1

    def forward(self, x):
        return x + self.body(x) if self.same else self.body(x)


class Layer(nn.Module):
    """A pre-norm transformer layer."""

    def __init__(self, width, wide, heads=4):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, wide), nn.Linear(wide, width)

    def split(self, x):
        n, tokens, width = x.shape
        return x.view(n, tokens, self.heads, width // self.heads).permute(0, 2, 1, 3)

    def attend(self, x):
        q, k, v = (self.split(f(x)) for f in (self.q, self.k, self.v))
        scores = torch.matmul(q, k.transpose(-1, -2)) / (q.shape[-1] ** 0.5)
        y = torch.matmul(scores.softmax(-1), v).permute(0, 2, 1, 3).contiguous()
        return self.out(y.view(x.shape))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.narrow(nn.functional.silu(self.wide(self.norm2(x))))


class Block(nn.Module):
    def __init__(self, channels, width, wide, deep):
        super().__init__()
        self.near = conv(channels, channels, 3)
        self.into = nn.Conv2d(channels, width, 1, bias=False)
        self.layers = nn.Sequential(*(Layer(width, wide) for _ in range(deep)), nn.LayerNorm(width))
        self.back = conv(width, channels)
        self.join = conv(2 * channels, channels, 3)

    def forward(self, x):
        y = self.into(self.near(x))
        n, c, h, w = y.shape
        rows, columns = h // PATCH, w // PATCH
        y = y.reshape(n * c * rows, PATCH, columns, PATCH).transpose(1, 2)
        y = y.reshape(n, c, rows * columns, PATCH * PATCH).transpose(1, 3)
        y = self.layers(y.reshape(n * PATCH * PATCH, rows * columns, c))
        y = y.contiguous().view(n, PATCH * PATCH, rows * columns, c).transpose(1, 3)
        y = y.reshape(n * c * rows, columns, PATCH, PATCH).transpose(1, 2)
        y = y.reshape(n, c, h, w)
        return self.join(torch.cat((x, self.back(y)), 1))


class MobileViT(nn.Module):
    def __init__(self, classes=1000):
        super().__init__()
        self.body = nn.Sequential(
            conv(3, 16, 3, 2),
            Inverted(16, 32), Inverted(32, 64, 2), Inverted(64, 64), Inverted(64, 64),
            Inverted(64, 96, 2), Block(96, 144, 288, 2),
            Inverted(96, 128, 2), Block(128, 192, 384, 4),
            Inverted(128, 160, 2), Block(160, 240, 480, 3),
            conv(160, 640))
        self.head = nn.Linear(640, classes)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


def build(seed):
    torch.manual_seed(seed)
    return MobileViT().eval()
