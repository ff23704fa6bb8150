"""What methods, allocations and statistics are cited by."""

from collections.abc import Iterable

# by the word that stands for it: the line of a list of references
REFERENCES = {
    "paper": "Doing More With Less: Revisiting the Effectiveness of LLM Pruning for Test-Time "
    "Scaling. EMNLP 2026 Findings. arXiv:2604.25098",
    "wanda": "M. Sun, Z. Liu, A. Bair, J. Z. Kolter. A Simple and Effective Pruning Approach for "
    "Large Language Models. ICLR 2024. arXiv:2306.11695",
    "stade": "D. Coello de Portugal Mecke et al. STADE: Standard Deviation as a Pruning Metric. "
    "2025. arXiv:2503.22451",
    "sparsegpt": "E. Frantar, D. Alistarh. SparseGPT: Massive Language Models Can Be Accurately "
    "Pruned in One-Shot. ICML 2023. arXiv:2301.00774",
    "magnitude": "S. Han, J. Pool, J. Tran, W. J. Dally. Learning both Weights and Connections for "
    "Efficient Neural Networks. NeurIPS 2015. arXiv:1506.02626",
    "shortgpt": "X. Men et al. ShortGPT: Layers in Large Language Models are More Redundant Than "
    "You Expect. 2024. arXiv:2403.03853",
    "llm-pruner": "X. Ma, G. Fang, X. Wang. LLM-Pruner: On the Structural Pruning of Large "
    "Language Models. NeurIPS 2023. arXiv:2305.11627",
    "flap": "Y. An, X. Zhao, T. Yu, M. Tang, J. Wang. Fluctuation-based Adaptive Structured "
    "Pruning for Large Language Models. AAAI 2024. arXiv:2312.11983",
    "sleb": "J. Song et al. SLEB: Streamlining LLMs through Redundancy Verification and "
    "Elimination of Transformer Blocks. ICML 2024. arXiv:2402.09025",
    "shortened": "B.-K. Kim et al. Shortened LLaMA: Depth Pruning for Large Language Models with "
    "Comparison of Retraining Methods. 2024. arXiv:2402.02834",
    "slicegpt": "S. Ashkboos et al. SliceGPT: Compress Large Language Models by Deleting Rows and "
    "Columns. ICLR 2024. arXiv:2401.15024",
    "mod": "D. Raposo et al. Mixture-of-Depths: Dynamically allocating compute in "
    "transformer-based language models. 2024. arXiv:2404.02258",
    "router-tuning": "S. He et al. Router-Tuning: A Simple and Effective Approach for Enabling "
    "Dynamic-Depth in Transformers. 2024. arXiv:2410.13184",
    "d-llm": "Y. Jiang et al. D-LLM: A Token Adaptive Computing Resource Allocation Strategy for "
    "Large Language Models. NeurIPS 2024",
    "skipgpt": "A. Zhao et al. SkipGPT: Dynamic Layer Pruning Reinvented with Token Awareness and "
    "Module Decoupling. ICML 2025. arXiv:2506.04179",
    "owl": "L. Yin et al. Outlier Weighed Layerwise Sparsity (OWL). ICML 2024. arXiv:2310.05175",
    "layerif": "H. Askari et al. LayerIF: Estimating Layer Quality for Large Language Models using "
    "Influence Functions. NeurIPS 2025. arXiv:2505.23811",
    "alphapruning": "H. Lu et al. AlphaPruning: Using Heavy-Tailed Self Regularization Theory for "
    "Improved Layer-wise Pruning of Large Language Models. NeurIPS 2024. arXiv:2410.10912",
    "evopress": "O. Sieberling, D. Kuznedelev, E. Kurtic, D. Alistarh. EvoPress: Accurate Dynamic "
    "Model Compression via Evolutionary Search. ICML 2025. arXiv:2410.14649",
    "s1": "N. Muennighoff et al. s1: Simple test-time scaling. 2025. arXiv:2501.19393",
    "wilson": "E. B. Wilson. Probable Inference, the Law of Succession, and Statistical Inference. "
    "Journal of the American Statistical Association 22, 1927",
    "kish": "L. Kish. Survey Sampling. Wiley, 1965",
    "mover": "G. Y. Zou, A. Donner. Construction of confidence limits about effect measures: a "
    "general approach. Statistics in Medicine 27, 2008",
    "bonett": "D. G. Bonett, R. M. Price. Adjusted Wald Confidence Interval for a Difference of "
    "Binomial Proportions Based on Paired Data. Journal of Educational and Behavioral Statistics "
    "37, 2012",
    "zou": "G. Y. Zou. Toward Using Confidence Intervals to Compare Correlations. Psychological "
    "Methods 12, 2007",
    "fieller": "E. C. Fieller. Some Problems in Interval Estimation. Journal of the Royal "
    "Statistical Society B 16, 1954",
    "optimism": "B. Efron. Estimating the Error Rate of a Prediction Rule: Improvement on "
    "Cross-Validation. Journal of the American Statistical Association 78, 1983",
    "lora": "E. J. Hu et al. LoRA: Low-Rank Adaptation of Large Language Models. ICLR 2022. "
    "arXiv:2106.09685",
    "holm": "S. Holm. A Simple Sequentially Rejective Multiple Test Procedure. Scandinavian "
    "Journal of Statistics 6, 1979",
    "harness": "L. Gao et al. The Language Model Evaluation Harness. 2024. "
    "doi:10.5281/zenodo.12608602",
    "satterthwaite": "F. E. Satterthwaite. An Approximate Distribution of Estimates of Variance "
    "Components. Biometrics Bulletin 2, 1946",
    "passk": "M. Chen et al. Evaluating Large Language Models Trained on Code. 2021. "
    "arXiv:2107.03374",
    "majority": "X. Wang et al. Self-Consistency Improves Chain of Thought Reasoning in Language "
    "Models. ICLR 2023. arXiv:2203.11171",
}


class Citations:
    """Numbers references in the order in which they are first cited."""

    def __init__(self) -> None:
        self.order: list[str] = []

    def cite(self, *words: str) -> str:
        """`[1, 2]` for these words of `REFERENCES`, or for references as they are."""
        self.order += [word for word in dict.fromkeys(words) if word not in self.order]
        return "[" + ", ".join(str(self.order.index(word) + 1) for word in words) + "]"

    def lines(self) -> Iterable[str]:
        """The references that were cited, in the order of their numbers."""
        return (REFERENCES.get(word, word) for word in self.order)
