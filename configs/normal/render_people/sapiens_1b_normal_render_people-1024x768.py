_base_ = ["recipe.py", "../../_base_/backbones/sapiens_1b.py"]
