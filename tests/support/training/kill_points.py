"""Programs that kill a training at a chosen point."""

START = """
import os, shutil, signal, sys
from pathlib import Path
import torch, transformers.trainer as trainer
from parrot_core.stages.training import reporting
from parrot_core.stages.training import worker

def die(): os.kill(os.getpid(), signal.SIGKILL)

def before(place, name, when):
    inner = getattr(place, name)
    def outer(*arguments, **options):
        if when(*arguments): die()
        return inner(*arguments, **options)
    setattr(place, name, outer)
"""


MID_STEP = """
inner = trainer.Trainer.training_step
def step(self, *arguments, **options):
    loss = inner(self, *arguments, **options)  # gradients are there, the weights are not
    if self.state.global_step == {}: die()
    return loss
trainer.Trainer.training_step = step
"""
