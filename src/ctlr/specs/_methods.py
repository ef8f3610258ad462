"""Methods and their training: how it is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self, get_args

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from ctlr.space import Choice, Range, loguniform, uniform
from ctlr.specs._data import ViewsSpec
from ctlr.specs._tables import Table, classes_in, fault_of_class, one_of
from ctlr.specs._value import Value

if TYPE_CHECKING:
    from torch import Tensor

    from ctlr.encoders.base import Encoder
    from ctlr.methods.base import Objective, Parts

__all__ = [
    "BASELINES",
    "FLOOR",
    "METHODS",
    "MORE_BASELINES",
    "AnyMethod",
    "ComputeSpec",
    "FinetuneSpec",
    "FitSpec",
    "MethodSpec",
    "Pretraining",
]

ENOUGH_TO_CHOOSE = 100
"""Subjects that an epoch is chosen on, unless a file says otherwise; with fewer the last one is kept."""


class FitSpec(Value):
    """How one training stage runs."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 30
    batch_size: Annotated[int, Field(ge=2, le=4096)] = 16
    steps_per_epoch: Annotated[int, Field(ge=1)] | None = None
    """Batches an epoch; by default as many as cover the data once."""
    lr: Annotated[float, Field(gt=0)] = 1e-3
    optimiser: Literal["sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "adamw"] = "adamw"
    """PyTorch's; `sgd` has no momentum."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of `momentum` and `nesterov`."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """Of weights; biases and norms do not decay."""
    schedule: Literal[
        "constant", "step", "multi_step", "exponential", "inverse_time", "polynomial", "cosine", "warm_restarts",
        "triangular", "sine", "cyclic_cosine", "one_cycle",
    ] = "cosine"  # fmt: skip
    """How the rate goes from step to step; `lr` is its peak."""
    cycle: Annotated[float, Field(ge=1)] = 10.0
    """Epochs between two drops of `step`, the unit of time of `exponential` and `inverse_time`; of the first cycle of
    `warm_restarts`, of a rise and fall of `triangular`, `sine` and `cyclic_cosine`."""
    cycle_growth: Annotated[float, Field(ge=1)] = 1.0
    """Each cycle of `warm_restarts` is so many times as long as the one before."""
    gamma: Annotated[float, Field(gt=0, le=1)] | None = None
    """Rate or peak of each cycle, as a share of the one before; null: 0.1 with `step`, `multi_step` and `exponential`,
    else 1. `inverse_time` is (1 + `gamma` cycles) ^ -`power`."""
    decay: Annotated[Literal["stepwise", "smooth"], Field(exclude_if=lambda value: value == "stepwise")] = "stepwise"
    """Whether `gamma` lowers the peaks of `warm_restarts`, `triangular`, `sine` and `cyclic_cosine` from one cycle to
    the next, or at every step."""
    milestones: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...] | None, Field(exclude_if=lambda value: value is None)
    ] = None
    """Epochs after which `multi_step` drops; null: half and three quarters of the stage (He et al. 2016)."""
    power: Annotated[float, Field(gt=0, le=10, exclude_if=lambda value: value == 1)] = 1.0
    """Exponent of `polynomial` and of `inverse_time`."""
    floor: Annotated[float | None, Field(ge=0, lt=1, exclude_if=lambda value: value is None)] = None
    """Least rate of `polynomial`, `cosine`, `warm_restarts`, `triangular`, `sine` and `cyclic_cosine`, as a share of
    `lr`; null: 0.25 with the last three, else 0."""
    warmup: Annotated[float, Field(ge=0)] = 1.0
    """Epochs in which the rate rises to where the schedule begins."""
    warmup_shape: Literal["linear", "cosine"] = "linear"
    """cosine: half a cosine, reversed: slow at both ends."""
    clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Before the head."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after this many epochs without a better validation score."""
    keep: Literal["auto", "best", "last"] = "auto"
    """Whose weights are kept: of the epoch that was best on the subjects that watch, or of the last one. auto: the best
    where 100 subjects or more watch or `patience` is set, else the last: few subjects choose by chance."""
    class_weights: Literal["balanced"] | None = None
    views: ViewsSpec | None = None
    """Augment training images; None trains on them as they are."""

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.optimiser == "nesterov" and self.momentum == 0:
            raise ValueError("`optimiser: nesterov` needs a `momentum` above 0; got 0. Raise it, or write sgd")
        return self

    @model_validator(mode="after")
    def _milestones_rise(self) -> Self:
        if self.milestones is not None and list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"`milestones` must rise; got {list(self.milestones)}. Sort them, each once")
        return self

    @model_validator(mode="after")
    def _patience_chooses(self) -> Self:
        if self.keep == "last" and self.patience is not None:
            raise ValueError("`keep: last` asks no validation score, and `patience` stops by it. Remove one of them")
        return self

    @property
    def finetuning(self) -> FinetuneSpec | None:
        """The same where it is a finetuning, in which layers may learn in turn; None for any other stage."""
        return None

    def keeps_best(self, watching: int) -> bool:
        """Whether the best epoch's weights are kept where so many subjects validate, not the last one's."""
        return self.keep == "best" or (self.keep == "auto" and (watching >= ENOUGH_TO_CHOOSE or bool(self.patience)))


class FinetuneSpec(FitSpec):
    """How the target task is learned on a (pre)trained encoder."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 40
    keep: Literal["auto", "best", "last"] = "best"
    """Whose weights are kept: of the epoch that was best on the validation subjects, or of the last one; auto: as for
    pretraining."""
    n_frozen: Annotated[int, Field(ge=0)] = 0
    """The lower blocks that keep their pretrained weights (and batch-norm statistics)."""
    n_copied: Annotated[int, Field(ge=1)] | None = None
    """The lower blocks that take pretrained weights; those above are drawn at random. null: all."""
    strategy: Literal["full", "discriminative", "linear_probe", "probe_then_full", "gradual", "chain_thaw"] = "full"
    """Which layers learn, when, and at which rates; see the page on finetuning."""
    w: Annotated[float, Field(gt=0, le=1)] | None = None
    """Rate of each block, as a share of the next one's; the head has `lr`. null: 0.3 with `discriminative`, else 1."""
    stage_epochs: Annotated[int, Field(ge=1)] | None = None
    """Epochs of each stage of `gradual` (null: 1), `probe_then_full` (null: half of all) and `chain_thaw` (null: equal
    parts) but the last, which takes what is left."""
    plateau: Annotated[int, Field(ge=1)] | None = None
    """Go on to the next stage after so many epochs without a better validation score, `stage_epochs` (null: equal
    parts) at the latest."""
    l2_sp: Annotated[float, Field(ge=0)] = 0.0
    """Pulls the encoder's weights to the pretrained ones (L2-SP); `weight_decay` is then left to the head."""
    norm_statistics: Literal["train", "frozen"] = "train"
    """Batch norms of blocks that learn: normalise by the batch and keep running averages, or by the pretrained ones."""
    refit: bool = False
    """Once an epoch is chosen, train again from the same first weights for as many epochs, on training and validation
    subjects together. Trials of a search do not."""

    @property
    def finetuning(self) -> FinetuneSpec:
        """Itself."""
        return self

    @property
    def rate_ratio(self) -> float:
        """`w` as it applies."""
        return self.w if self.w is not None else 0.3 if self.strategy == "discriminative" else 1.0

    @property
    def staged(self) -> bool:
        """Whether the layers that learn change on the way."""
        return self.strategy in ("probe_then_full", "gradual", "chain_thaw")


class Pretraining(NamedTuple):
    """What a pretraining learns from."""

    images: Literal["source", "target", "both"]
    """Whose; of the target all that are neither tested nor set aside for validation, or those with a label."""
    labels: Literal["source", "target"] | None = None
    """Whose labels; those of the target are the study's own training subjects'. It then leaves a head, and is judged by
    that task's metric; without labels by its own loss."""


class MethodSpec(Value):
    """A method: its options, and what the rest of CTLR asks of it.

    Nothing outside a method's own file names it: plan, bill, searches, steps and report ask these statements. A method
    that trains in its own way gives its objective in `pretrain_objective` or `finetune_objective`.
    """

    if TYPE_CHECKING:  # a field of each, with that one value
        method: str
        """Its name in the table."""

    label: str = ""
    """Filled from the key in the file; names the method in the report."""
    finetune: FinetuneSpec = FinetuneSpec()
    role: ClassVar[Literal["method", "baseline", "floor"]] = "method"
    """What the report holds it against: training from scratch; or it is held against the methods, beside which it
    stands in every table; or it is the least that anybody has to beat."""
    trains_network: ClassVar[bool] = True
    """Whether a study trains a network on its target: it is then finetuned, and billed by the image."""
    shallow: ClassVar[str] = ""
    """What fits it where it is a model without a network (`module:function`); empty for any other."""
    needs_shared_task: ClassVar[bool] = False
    """Whether it runs only where another dataset is the source and asks the same of its images as the target."""
    needs_inputs: ClassVar[bool] = False
    """Whether it runs only where the target's task has `inputs`, and reads them also where `fusion` is none."""
    untuned: ClassVar[str] = ""
    """Why there is nothing to search in it; empty where there is."""
    control: ClassVar[str] = ""
    """Why a benchmark that tunes must not have it: it is the control of another method at equal options."""
    misleading: ClassVar[Mapping[str, str]] = {}
    """Options that a search of the pretraining alone must not set, by their address or its beginning, with why."""
    pretrains: ClassVar[bool] = False
    """Whether its finetuning begins from pretrained weights."""
    files: ClassVar[tuple[str, ...]] = ()
    """Options that name a file; where it lies, from the benchmark's folder on, does not say what the method is."""
    example: ClassVar[Mapping[str, Any]] = {}
    """Options that it cannot do without, as one would write them to try it out."""
    task_kinds: ClassVar[tuple[str, ...]] = ("classification", "regression")
    """Kinds of target tasks that it can learn."""
    leaves_head: ClassVar[bool] = False
    """Whether its pretraining leaves a head of the source's task: features and predictions of the target's images are
    scored then, and its gains are what such scores are held against."""
    layer_origin: ClassVar[Literal["A", "B", ""]] = ""
    """Whose blocks it gives to a layer transfer: those of a network that learned the source (A), or the target (B)."""
    needs_views: ClassVar[bool] = False
    """Whether its pretraining contrasts random views, and learns nothing without them."""
    reads_pool_while_finetuning: ClassVar[bool] = False
    """Whether the finetuning itself looks at more images than the labelled ones: it has an objective of its own."""
    shares_head: ClassVar[bool] = False
    """Whether one head learns both tasks, where source and target are one."""

    @property
    def pretraining(self) -> Pretraining | None:
        """What its pretraining learns from; None where it has none."""
        return None

    @property
    def has_encoder(self) -> bool:
        """Whether an encoder has a part in it; what has none runs once, however many encoders there are."""
        return True

    @property
    def reads_frozen_encoder(self) -> bool:
        """Whether a method without a network learns from features of its encoder, whose `starting_weights` stay."""
        return False

    @property
    def lacks_views(self) -> bool:
        """Whether it contrasts views and has none."""
        return self.needs_views and self.views_by_stage["pretrain"] is None

    @property
    def reads_source_while_finetuning(self) -> bool:
        """Whether the finetuning itself looks at the source, where there is one."""
        return self.reads_pool_while_finetuning

    @property
    def needs_source(self) -> bool:
        """Whether it cannot run without a source."""
        return self.pretraining is not None and "source" in self.pretraining

    @property
    def shares_encoder(self) -> bool:
        """Whether one encoder sees source and target, where there is a source."""
        return self.reads_source_while_finetuning or (self.pretraining is not None and self.reads_source)

    @property
    def reads_source(self) -> bool:
        """Whether it looks at the source, where there is one."""
        learned = self.pretraining
        return self.reads_source_while_finetuning or (learned is not None and learned.images != "target")

    @property
    def source_columns(self) -> Mapping[str, Literal["classification", "regression"]]:
        """Columns of the source's table that it learns beside the source task's own, and what each asks for."""
        return {}

    @property
    def seen_cohorts(self) -> tuple[str, ...]:
        """Cohorts that it has learned from already; where one of them is the target, its test subjects are not new."""
        return ()

    @property
    def images_beside(self) -> int:
        """Images that a finetuning step takes beside the labelled batch."""
        return 0

    def stage(self, name: str) -> FitSpec:
        """How a stage runs: `finetune`, or `pretrain` of a method that does."""
        spec: FitSpec = getattr(self, name)
        return spec

    @property
    def views_by_stage(self) -> dict[str, ViewsSpec | None]:
        """Random views through which each of its stages sees its labelled images (or those that it contrasts)."""
        learned = {"pretrain": "pretrain" in type(self).model_fields, "finetune": self.trains_network}
        stages = [stage for stage, there in learned.items() if there]
        return {stage: self.stage(stage).views for stage in stages}

    def views_words(self, ndim: int) -> str:
        """The same in words, as they act on images of so many sides: `pretraining: none; finetuning: flip 0.5`; a dash
        where it sees no image."""
        named = {"pretrain": "pretraining", "finetune": "finetuning"}
        words = [f"{named[stage]}: {seen.at(ndim).words if seen else 'none'}"
                 for stage, seen in self.views_by_stage.items()]  # fmt: skip
        return "; ".join(words) or "–"

    @property
    def views_by_place(self) -> dict[tuple[str, ...], ViewsSpec]:
        """All views of it, by the keys of their options."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        found: dict[tuple[str, ...], ViewsSpec | None] = {
            (name, "views"): field.views for name, field in fields.items() if isinstance(field, FitSpec)
        }
        found |= {(name,): field for name, field in fields.items() if isinstance(field, ViewsSpec)}
        return {place: views for place, views in found.items() if views is not None}

    @classmethod
    def usual_views(cls, place: Sequence[str]) -> list[ViewsSpec]:
        """Views at a place where the file says nothing: those without options, and the method's own."""
        field = cls.model_fields[place[0]].get_default(call_default_factory=True, validated_data={})
        views = field.views if isinstance(field, FitSpec) else field
        return [ViewsSpec(), *([views] if isinstance(views, ViewsSpec) else [])]

    @property
    def flips(self) -> bool:
        """Whether a view of its training is mirrored now and then: a mirrored image then means the same."""
        return any(views.flip > 0 for views in self.views_by_place.values())

    @classmethod
    def automatic(cls, peers: Sequence[MethodSpec]) -> Self | None:
        """The method as it stands beside others without being listed; None where it cannot."""
        return cls.model_validate({"label": cls.model_fields["method"].default})

    def settled(self, peers: Sequence[MethodSpec]) -> Self:
        """The method with what it takes over from those that it stands beside."""
        return self

    def space(self, ndim: int) -> Mapping[str, Range | Choice]:
        """What a search tries where no manifest says it: options of the method by their addresses, e.g. `finetune.lr`;
        nothing where there is nothing to search.

        Spaces are flat: an option that does not matter beside another one's value is drawn all the same, and not read.

        Args:
            ndim: Spatial axes of the images.
        """
        if not self.trains_network or self.pretraining is not None:
            return {}  # what a pretraining wants searched, nobody has stated
        found: dict[str, Range | Choice] = {
            "finetune.lr": loguniform(3e-4, 3e-2),
            "finetune.weight_decay": loguniform(1e-6, 1e-1),
            "finetune.dropout": uniform(0, 0.5),
            "finetune.batch_size": Choice((16, 32, 64)),
        }
        if self.pretrains:
            found["finetune.lr"] = loguniform(1e-4, 1e-2)
            found["finetune.strategy"] = Choice(get_args(FinetuneSpec.model_fields["strategy"].annotation))
        return found

    def validates(self, ndim: int) -> bool:
        """Whether a study's validation subjects choose the options of a model without a network, as they choose a
        network's, and teach it nothing else; otherwise it learns from them too.

        Args:
            ndim: Spatial axes of the images.
        """
        return False

    @property
    def refits(self) -> bool:
        """Whether the validation subjects teach the final model too, once they have chosen what it is."""
        return self.finetune.refit

    @property
    def only_encoder(self) -> str | None:
        """Key of the one encoder that it runs on; None where it runs on all."""
        return None

    def misfit(self, shape: tuple[int, ...]) -> tuple[str, str] | None:
        """The option, and why it does not fit images of this shape, (C, *S); None where all do."""
        return None

    def without_source(self) -> Self:
        """The method as it stands where no source is in reach; identity is content, so it says so."""
        return self

    def pretrained_as(self) -> MethodSpec | None:
        """The method whose pretraining it begins from, or stands as; None where there is none."""
        return self if self.pretraining is not None else None

    def starting_weights(self, encoder: Encoder) -> dict[str, Tensor] | None:
        """Weights that its finetuning begins from without a pretraining; None where there are none.

        Args:
            encoder: With its first weights; may be changed.
        """
        return None

    def following(self, leader: MethodSpec) -> Self:
        """The method after a search has changed the one whose pretraining it shares."""
        return self

    def pretrain_objective(self, parts: Parts) -> Objective:
        """What its pretraining minimises.

        Args:
            parts: Encoder, rows and, where `pretraining.labels` names a task, its head and loss.
        """
        raise NotImplementedError(type(self))

    def finetune_objective(self, parts: Parts) -> Objective:
        """What its finetuning minimises, where it is more than the task's loss on the labelled images.

        Args:
            parts: Encoder, head and loss of the target task, and rows.
        """
        raise NotImplementedError(type(self))


class ComputeSpec(Value):
    """What decides the last digits of a number: the same for every worker, however many there are."""

    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """CPU threads of one worker; sums are taken in another order with another number."""
    precision: Literal["auto", "float32", "bf16", "fp16"] = "auto"
    """auto: bf16 for each layer that the processor multiplies in hardware and gets right, else float32."""
    surfaces: Annotated[Annotated[int, Field(ge=1)] | None, Field(exclude_if=lambda value: value is None)] = None
    """Epochs after each of which a network that learns classes of points in the plane leaves what it says of the plane,
    for the app to draw while it learns; null: never."""


METHODS: Table[type[MethodSpec]] = Table(
    "method",
    {
        "mean": "ctlr.methods.mean:MeanSpec",
        "scratch": "ctlr.methods.scratch:ScratchSpec",
        "supervised": "ctlr.methods.supervised:SupervisedSpec",
        "pretrained": "ctlr.methods.pretrained:PretrainedSpec",
        "selffer": "ctlr.methods.selffer:SelfferSpec",
        "simclr": "ctlr.methods.simclr:SimCLRSpec",
        "vat": "ctlr.methods.vat:VATSpec",
        "pooled": "ctlr.methods.pooled:PooledSpec",
        "byol": "ctlr.methods.byol:BYOLSpec",
        "simsiam": "ctlr.methods.simsiam:SimSiamSpec",
        "barlow_twins": "ctlr.methods.barlow_twins:BarlowTwinsSpec",
        "vicreg": "ctlr.methods.vicreg:VICRegSpec",
        "mae": "ctlr.methods.mae:MAESpec",
        "y_aware": "ctlr.methods.y_aware:YAwareSpec",
        "reptile": "ctlr.methods.meta:ReptileSpec",
        "maml": "ctlr.methods.meta:MAMLSpec",
        "pi_model": "ctlr.methods.pi_model:PiModelSpec",
        "mean_teacher": "ctlr.methods.mean_teacher:MeanTeacherSpec",
        "pseudo_label": "ctlr.methods.pseudo_label:PseudoLabelSpec",
        "fixmatch": "ctlr.methods.fixmatch:FixMatchSpec",
        "svm": "ctlr.shallow.families:SVMSpec",
        "logistic": "ctlr.shallow.families:LogisticSpec",
        "knn": "ctlr.shallow.families:KNNSpec",
        "naive_bayes": "ctlr.shallow.families:NaiveBayesSpec",
        "decision_tree": "ctlr.shallow.families:DecisionTreeSpec",
        "forest": "ctlr.shallow.families:ForestSpec",
        "boosting": "ctlr.shallow.families:BoostingSpec",
        "linear": "ctlr.shallow.baselines:LinearSpec",
        "gradient_boosting": "ctlr.shallow.baselines:GradientBoostingSpec",
        "nearest": "ctlr.shallow.baselines:NearestSpec",
        "random_forest": "ctlr.shallow.baselines:RandomForestSpec",
        "covariates": "ctlr.shallow.baselines:CovariatesSpec",
        "linear_covariates": "ctlr.shallow.baselines:LinearCovariatesSpec",
        "unchanged": "ctlr.methods.unchanged:UnchangedSpec",
        "unchanged_linear": "ctlr.shallow.baselines:UnchangedLinearSpec",
    },
    "ctlr.methods",
    classes_in(MethodSpec, "method"),
    fault_of_class(MethodSpec, "method"),
)
"""Every method, each in a file of its own."""
FLOOR = "mean"
"""That which every table shows, whether it is listed or not."""
BASELINES = (
    "linear", "gradient_boosting", "nearest", "covariates", "linear_covariates", "unchanged", "unchanged_linear"
)  # fmt: skip
"""Those that stand in every table, whether they are listed or not."""
MORE_BASELINES = ("random_forest",)
"""Those that stand in a table where `baselines` or `methods` names them."""

AnyMethod = Annotated[SerializeAsAny[MethodSpec], BeforeValidator(one_of(METHODS, "method"))]
"""A method's options, of whichever class the table has for it."""
