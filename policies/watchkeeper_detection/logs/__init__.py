"""Readers of logs: chunks of bytes in, events out, one file per provider. Pure: opening files is a transport's business."""
