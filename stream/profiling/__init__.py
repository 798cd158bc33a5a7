"""`strefer profile`: what a machine does with feeds, measured in the worker itself, and how much of them it holds.

`tape` records a source once and plays it as any number of feeds; `load` runs a worker under a load and `record` takes
down every stage of every frame; `machine` samples memory and GPU beside it; `roofline` holds engines and kernels
against what the machine gives (`roof`); `run` makes a `results.Profile` of all that, `report` a page with plots;
`compare` holds two profiles against each other.
"""
