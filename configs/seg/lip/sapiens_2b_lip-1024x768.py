_base_ = ["recipe.py", "../../_base_/backbones/sapiens_2b.py"]
