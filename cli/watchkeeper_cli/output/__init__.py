"""How detections leave the command: one module per format. Nothing here judges, and only `text.py` decides what is safe to show."""
