"""The detectors of the zoo: last layers whose answers differ, and a score threshold for each.

The threshold lies in the widest gap between scores near the one asked for, so that some tens
of boxes survive and none of them by a hair.
"""
import torch
import torchvision

import pictures
import settle

# The spread of the outputs of last layers: part of the name, standard deviation.
SPREADS = (
    ("rpn.head.cls_logits", 1.5),
    ("rpn.head.bbox_pred", 0.05),
    ("box_predictor.cls_score", 2.0),
    ("box_predictor.bbox_pred", 1.0),
    ("mask_fcn_logits", 2.0),
    ("box_head.fc", 1.0),
    ("head.classification_head.cls_logits", 0.5),
    ("head.regression_head.bbox_reg", 0.5),
    ("classification_head.module_list", 0.7),
    ("regression_head.module_list", 1.0),
)
# Before a softmax no class may win everywhere; and where boxes are nearly alike, the little
# that tells them apart is lost in rounding.
CENTRED = ("cls_score", "box_head.fc", "classification_head.module_list")


def gap_near(scores, rank, width):
    """A threshold in the widest gap of the sorted scores around `rank`."""
    s = sorted((float(v) for v in scores), reverse=True)
    lo, hi = max(rank - width, 1), min(rank + width, len(s) - 1)
    if hi <= lo:
        return s[-1] / 2 if s else 0.0
    k = max(range(lo, hi), key=lambda i: s[i] - s[i + 1])
    return (s[k] + s[k + 1]) / 2


def set_threshold(model, images, boxes=40):
    """Let about `boxes` boxes of these pictures pass the detector's score threshold."""
    owner = model.roi_heads if hasattr(model, "roi_heads") else model
    owner.score_thresh = 0.02
    with torch.no_grad():
        scores = model(images)[0]["scores"]
    owner.score_thresh = gap_near(scores, boxes, boxes // 3)
    return owner.score_thresh


def lift_distances(model):
    """FCOS: the distances to four sides, of which ReLU keeps the positive ones."""
    for name, p in model.named_parameters():
        if name == "head.regression_head.bbox_reg.bias" and p.numel() == 4:
            with torch.no_grad():
                p.add_(1.5)


def build(s):
    """(model, inputs of the cases, names of the outputs)."""
    options = {"weights": None, "weights_backbone": None}
    # Resized by exactly two. PyTorch finds places in the source in single precision: at other
    # ratios its pixels are off by 1e-5, which a network of random weights makes 1e-3 of.
    h, w = 160, 208
    if "rcnn" in s.name:
        options.update(rpn_pre_nms_top_n_test=400, rpn_post_nms_top_n_test=150)
    if "320" not in s.name and not s.name.startswith("ssd"):
        options.update(min_size=320, max_size=448)
    model = torchvision.models.get_model(s.name, **options)
    cases = [(pictures.plain(0, h, w),)]
    if s.open:
        cases.append((pictures.plain(1, 150, 110),))
    cases.append((pictures.plain(2, h, w),))
    look = [torch.from_numpy(c[0]) for c in cases]
    settle.calm(model)
    settle.settle(model, lambda: model(look), 1, SPREADS, CENTRED)
    lift_distances(model)
    set_threshold(model, look[:1])
    with torch.no_grad():
        names = list(model(look[:1])[0])
    return model, cases, names
