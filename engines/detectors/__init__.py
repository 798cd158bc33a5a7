"""Detectors of Hugging Face transformers as engines: RF-DETR for COCO's categories, Grounding DINO for any words.

```python
detector = open_detector("rf-detr-medium", store, How("torch", device="cuda"), cache).detector
detector.detect_many(frames)  # one run: frames [H, W, 3] uint8 of any sizes
```
"""
