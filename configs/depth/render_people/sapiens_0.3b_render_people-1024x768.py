_base_ = ["recipe.py", "../../_base_/backbones/sapiens_0.3b.py"]
