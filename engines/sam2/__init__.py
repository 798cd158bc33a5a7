"""SAM 2.1 as a stream: objects of many feeds, prompted at any time, followed frame by frame in one batch.

    model = build("tiny", image_size=1024, device="cuda", dtype=torch.bfloat16, weights=path)
    tracker = GraphTracker(model, slots=64)  # or Tracker, on any device
    features = tracker.encode(preprocess(frames, model.side, dtype=model.dtype))  # one frame of each feed
    slot, logits = tracker.add(features, 0, Prompt(box=(410.0, 220.0, 640.0, 800.0)))
    out = tracker.step(tracker.encode(...), {slot: 0})  # out.logits[0]: the object on its feed's next frame

Read build.py (the parts), history.py (what an object remembers), step.py (a step), tracker.py; docs/sam2.md tells why.
"""
