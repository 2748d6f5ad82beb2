"""Equilibrium propagation in the gateware's arithmetic with parts of recipes that the gateware lacks.

Momentum, weight decay and a cosine schedule of the rates, as works on CIFAR-10 train with them. Each changes
the masters after a commit, in integers, so that it could become part of a commit; what gains nothing stays
out of it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nudge.golden.contract.spec import Spec
from nudge.golden.model.fixed import FixedModel
from nudge.golden.model.parameters import initial, mean
from nudge.golden.training.commits import Commit, commits
from nudge.golden.training.data import Data
from nudge.golden.training.loop import started
from nudge.golden.training.plan import Plan

#: Commits between two decays of the weights.
INTERVAL = 64


@dataclass(frozen=True)
class Recipe:
    """A learning rule: equilibrium propagation, and these three; by default none of them."""

    #: A commit also repeats this share of how far each master moved in the commit before.
    momentum: float = 0.0
    #: Every `INTERVAL`-th commit also moves each weight by this share of itself towards 0. Moves after each
    #: commit would be less than half of the masters' LSB, and so none.
    weight_decay: float = 0.0
    #: The rates of epoch e of E are multiplied by (1 + cos(pi e / E)) / 2, in place of the plan's decay.
    cosine: bool = False

    def error(self, spec: Spec, plan: Plan, held_out: int, images: Data) -> dict[str, float]:
        """Train the fixed-point model and return its errors in percent.

        error_percent: on the last `held_out` training images. training_percent: in the last epoch, each
        sample predicted before it is learned.
        """
        model = FixedModel(spec, parameters=started(plan, spec, images, initial(spec, plan.seed)))
        wrong = done = 0
        kept = []
        moved = [torch.zeros_like(x) for x in self._masters(model)]
        before = self._masters(model)
        for number, commit in enumerate(self._commits(plan, spec, model, images)):
            if self.momentum or (self.weight_decay and number % INTERVAL == INTERVAL - 1):
                moved = self._changed(spec, model, before, moved)
                before = self._masters(model)
            done += len(commit.numbers)
            wrong += commit.errors if commit.epoch == plan.epochs - 1 else 0
            if done % plan.samples == 0 and commit.epoch >= plan.epochs - plan.average:
                kept.append(model.parameters)
        model.load(mean(kept))
        missed = model.infer(images.train_images[-held_out:]) != images.train_labels[-held_out:].numpy()
        return {
            "error_percent": 100 * float(missed.mean()),
            "training_percent": 100 * wrong / plan.samples,
        }

    def _commits(self, plan: Plan, spec: Spec, model: FixedModel, images: Data) -> Iterator[Commit]:
        """Train, and yield each commit, with the rates of the plan or of the cosine."""
        if not self.cosine:
            yield from commits(plan, spec, model, images)
            return
        for epoch in range(plan.epochs):
            share = (1 + math.cos(math.pi * epoch / plan.epochs)) / 2
            constant = replace(plan, epochs=epoch + 1, lr_scale=plan.lr_scale * share, decay=1.0)
            yield from commits(constant, spec, model, images, epoch)

    @staticmethod
    def _masters(model: FixedModel) -> list[Tensor]:
        return [x.clone() for x in (*model.parameters.weights, *model.parameters.biases)]

    def _changed(
        self, spec: Spec, model: FixedModel, before: list[Tensor], moved: list[Tensor]
    ) -> list[Tensor]:
        """Apply momentum and weight decay after a commit; return how far each master moved in all."""
        f, n = spec.formats, len(spec.bundles)
        after = []
        for at, (x, old) in enumerate(zip(self._masters(model), moved, strict=True)):
            share = self.weight_decay if at < n else 0.0
            more = torch.round(self.momentum * old - share * x).long()
            after.append((x + more).clamp(f.master_low, f.master_high))
        model.load(model.parameters._replace(weights=tuple(after[:n]), biases=tuple(after[n:])))
        return [x - y for x, y in zip(after, before, strict=True)]
