"""PyTorch, eager."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .data import task

job, out = task()
torch.manual_seed(1)
(x, y), (test_x, test_y) = ((torch.from_numpy(a), torch.from_numpy(b).long()) for a, b in (job.train, job.test))
model = nn.Sequential(nn.Linear(x.shape[1], job.units), nn.ReLU(), nn.Dropout(job.dropout), nn.Linear(job.units, 10))
kind = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}[job.optimizer]
optimizer = kind(model.parameters(), lr=job.learning_rate)
schedule = None
if job.decay_steps is not None:
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, job.decay_steps)
for epoch in range(job.epochs):
    model.train()
    total = torch.zeros(())
    for rows in torch.randperm(len(x)).split(job.batch_size):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        total += loss.detach() * len(rows)
    print(f"epoch {epoch + 1} loss {total.item() / len(x):.4f}")
model.eval()
with torch.inference_mode():
    accuracy = (model(test_x).argmax(1) == test_y).float().mean().item()
torch.save(model.state_dict(), out.with_suffix(".pt"))
print(f"accuracy {accuracy:.4f}")
