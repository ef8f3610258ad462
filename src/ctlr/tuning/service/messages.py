"""Katib's messages for suggestions, built at run time with whatever protobuf is installed.

The text below is Katib's own `api.proto` (package api.v1.beta1), as the wheel of kubeflow-katib 0.19.0 holds it in
`kubeflow/katib/katib_api_pb2.py`: the bytes handed to `AddSerializedFile`, read as a FileDescriptorProto and written by
`google.protobuf.text_format`. Left out are the services and messages that suggestions do not use and the fields that
hold them (architecture searches, early stopping); protobuf passes over such fields on the wire. Nothing here depends
on the protobuf that Katib generates its code with.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from ctlr.errors import require

__all__ = ["HEALTH_SERVICE", "SUGGESTION_SERVICE", "load_messages"]

SUGGESTION_SERVICE = "api.v1.beta1.Suggestion"
HEALTH_SERVICE = "grpc.health.v1.Health"

_API = """
name: "api.proto"
package: "api.v1.beta1"
message_type {
  name: "Experiment"
  field { name: "name" number: 1 type: TYPE_STRING }
  field { name: "spec" number: 2 type: TYPE_MESSAGE type_name: ".api.v1.beta1.ExperimentSpec" }
}
message_type {
  name: "ExperimentSpec"
  field { name: "parameter_specs" number: 1
          type: TYPE_MESSAGE type_name: ".api.v1.beta1.ExperimentSpec.ParameterSpecs" }
  field { name: "objective" number: 2 type: TYPE_MESSAGE type_name: ".api.v1.beta1.ObjectiveSpec" }
  field { name: "algorithm" number: 3 type: TYPE_MESSAGE type_name: ".api.v1.beta1.AlgorithmSpec" }
  field { name: "parallel_trial_count" number: 5 type: TYPE_INT32 }
  field { name: "max_trial_count" number: 6 type: TYPE_INT32 }
  nested_type {
    name: "ParameterSpecs"
    field { name: "parameters" number: 1 label: LABEL_REPEATED
            type: TYPE_MESSAGE type_name: ".api.v1.beta1.ParameterSpec" }
  }
}
message_type {
  name: "ParameterSpec"
  field { name: "name" number: 1 type: TYPE_STRING }
  field { name: "parameter_type" number: 2 type: TYPE_ENUM type_name: ".api.v1.beta1.ParameterType" }
  field { name: "feasible_space" number: 3 type: TYPE_MESSAGE type_name: ".api.v1.beta1.FeasibleSpace" }
}
message_type {
  name: "FeasibleSpace"
  field { name: "max" number: 1 type: TYPE_STRING }
  field { name: "min" number: 2 type: TYPE_STRING }
  field { name: "list" number: 3 label: LABEL_REPEATED type: TYPE_STRING }
  field { name: "step" number: 4 type: TYPE_STRING }
  field { name: "distribution" number: 5 type: TYPE_ENUM type_name: ".api.v1.beta1.Distribution" }
}
message_type {
  name: "ObjectiveSpec"
  field { name: "type" number: 1 type: TYPE_ENUM type_name: ".api.v1.beta1.ObjectiveType" }
  field { name: "goal" number: 2 type: TYPE_DOUBLE }
  field { name: "objective_metric_name" number: 3 type: TYPE_STRING }
  field { name: "additional_metric_names" number: 4 label: LABEL_REPEATED type: TYPE_STRING }
}
message_type {
  name: "AlgorithmSpec"
  field { name: "algorithm_name" number: 1 type: TYPE_STRING }
  field { name: "algorithm_settings" number: 2 label: LABEL_REPEATED
          type: TYPE_MESSAGE type_name: ".api.v1.beta1.AlgorithmSetting" }
}
message_type {
  name: "AlgorithmSetting"
  field { name: "name" number: 1 type: TYPE_STRING }
  field { name: "value" number: 2 type: TYPE_STRING }
}
message_type {
  name: "Trial"
  field { name: "name" number: 1 type: TYPE_STRING }
  field { name: "spec" number: 2 type: TYPE_MESSAGE type_name: ".api.v1.beta1.TrialSpec" }
  field { name: "status" number: 3 type: TYPE_MESSAGE type_name: ".api.v1.beta1.TrialStatus" }
}
message_type {
  name: "TrialSpec"
  field { name: "objective" number: 2 type: TYPE_MESSAGE type_name: ".api.v1.beta1.ObjectiveSpec" }
  field { name: "parameter_assignments" number: 3
          type: TYPE_MESSAGE type_name: ".api.v1.beta1.TrialSpec.ParameterAssignments" }
  field { name: "labels" number: 4 label: LABEL_REPEATED
          type: TYPE_MESSAGE type_name: ".api.v1.beta1.TrialSpec.LabelsEntry" }
  nested_type {
    name: "ParameterAssignments"
    field { name: "assignments" number: 1 label: LABEL_REPEATED
            type: TYPE_MESSAGE type_name: ".api.v1.beta1.ParameterAssignment" }
  }
  nested_type {
    name: "LabelsEntry"
    field { name: "key" number: 1 type: TYPE_STRING }
    field { name: "value" number: 2 type: TYPE_STRING }
    options { map_entry: true }
  }
}
message_type {
  name: "ParameterAssignment"
  field { name: "name" number: 1 type: TYPE_STRING }
  field { name: "value" number: 2 type: TYPE_STRING }
}
message_type {
  name: "TrialStatus"
  field { name: "start_time" number: 1 type: TYPE_STRING }
  field { name: "completion_time" number: 2 type: TYPE_STRING }
  field { name: "condition" number: 3 type: TYPE_ENUM type_name: ".api.v1.beta1.TrialStatus.TrialConditionType" }
  field { name: "observation" number: 4 type: TYPE_MESSAGE type_name: ".api.v1.beta1.Observation" }
  enum_type {
    name: "TrialConditionType"
    value { name: "CREATED" number: 0 }
    value { name: "RUNNING" number: 1 }
    value { name: "SUCCEEDED" number: 2 }
    value { name: "KILLED" number: 3 }
    value { name: "FAILED" number: 4 }
    value { name: "METRICSUNAVAILABLE" number: 5 }
    value { name: "EARLYSTOPPED" number: 6 }
    value { name: "UNKNOWN" number: 7 }
  }
}
message_type {
  name: "Observation"
  field { name: "metrics" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".api.v1.beta1.Metric" }
}
message_type {
  name: "Metric"
  field { name: "name" number: 1 type: TYPE_STRING }
  field { name: "value" number: 2 type: TYPE_STRING }
}
message_type {
  name: "GetSuggestionsRequest"
  field { name: "experiment" number: 1 type: TYPE_MESSAGE type_name: ".api.v1.beta1.Experiment" }
  field { name: "trials" number: 2 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".api.v1.beta1.Trial" }
  field { name: "current_request_number" number: 4 type: TYPE_INT32 }
  field { name: "total_request_number" number: 5 type: TYPE_INT32 }
}
message_type {
  name: "GetSuggestionsReply"
  field { name: "parameter_assignments" number: 1 label: LABEL_REPEATED
          type: TYPE_MESSAGE type_name: ".api.v1.beta1.GetSuggestionsReply.ParameterAssignments" }
  field { name: "algorithm" number: 2 type: TYPE_MESSAGE type_name: ".api.v1.beta1.AlgorithmSpec" }
  nested_type {
    name: "ParameterAssignments"
    field { name: "assignments" number: 1 label: LABEL_REPEATED
            type: TYPE_MESSAGE type_name: ".api.v1.beta1.ParameterAssignment" }
    field { name: "trial_name" number: 2 type: TYPE_STRING }
    field { name: "labels" number: 3 label: LABEL_REPEATED
            type: TYPE_MESSAGE type_name: ".api.v1.beta1.GetSuggestionsReply.ParameterAssignments.LabelsEntry" }
    nested_type {
      name: "LabelsEntry"
      field { name: "key" number: 1 type: TYPE_STRING }
      field { name: "value" number: 2 type: TYPE_STRING }
      options { map_entry: true }
    }
  }
}
message_type {
  name: "ValidateAlgorithmSettingsRequest"
  field { name: "experiment" number: 1 type: TYPE_MESSAGE type_name: ".api.v1.beta1.Experiment" }
}
message_type {
  name: "ValidateAlgorithmSettingsReply"
}
enum_type {
  name: "ParameterType"
  value { name: "UNKNOWN_TYPE" number: 0 }
  value { name: "DOUBLE" number: 1 }
  value { name: "INT" number: 2 }
  value { name: "DISCRETE" number: 3 }
  value { name: "CATEGORICAL" number: 4 }
}
enum_type {
  name: "Distribution"
  value { name: "DISTRIBUTION_UNSPECIFIED" number: 0 }
  value { name: "UNIFORM" number: 1 }
  value { name: "LOG_UNIFORM" number: 2 }
  value { name: "NORMAL" number: 3 }
  value { name: "LOG_NORMAL" number: 4 }
}
enum_type {
  name: "ObjectiveType"
  value { name: "UNKNOWN" number: 0 }
  value { name: "MINIMIZE" number: 1 }
  value { name: "MAXIMIZE" number: 2 }
}
service {
  name: "Suggestion"
  method { name: "GetSuggestions" input_type: ".api.v1.beta1.GetSuggestionsRequest"
          output_type: ".api.v1.beta1.GetSuggestionsReply" }
  method { name: "ValidateAlgorithmSettings" input_type: ".api.v1.beta1.ValidateAlgorithmSettingsRequest"
          output_type: ".api.v1.beta1.ValidateAlgorithmSettingsReply" }
}
syntax: "proto3"
"""

_HEALTH = """
name: "health.proto"
package: "grpc.health.v1"
message_type {
  name: "HealthCheckRequest"
  field { name: "service" number: 1 type: TYPE_STRING }
}
message_type {
  name: "HealthCheckResponse"
  field { name: "status" number: 1 type: TYPE_ENUM type_name: ".grpc.health.v1.HealthCheckResponse.ServingStatus" }
  enum_type {
    name: "ServingStatus"
    value { name: "UNKNOWN" number: 0 }
    value { name: "SERVING" number: 1 }
    value { name: "NOT_SERVING" number: 2 }
  }
}
syntax: "proto3"
"""
"""The protocol of gRPC's health checks; grpcio-health-checking would demand a protobuf of its own."""


@cache
def load_messages() -> Mapping[str, Any]:
    """Message classes by their names, e.g. `GetSuggestionsRequest`.

    Raises:
        MissingExtraError: protobuf is not installed.
    """
    descriptor_pb2, descriptor_pool, message_factory, text_format = (
        require(f"google.protobuf.{name}", extra="suggest")
        for name in ("descriptor_pb2", "descriptor_pool", "message_factory", "text_format")
    )
    # A pool of its own: another package may have put Katib's file into the common one.
    pool = descriptor_pool.DescriptorPool()
    found: dict[str, Any] = {}
    for text in (_API, _HEALTH):
        file = text_format.Parse(text, descriptor_pb2.FileDescriptorProto())
        pool.AddSerializedFile(file.SerializeToString())
        for name, descriptor in pool.FindFileByName(file.name).message_types_by_name.items():
            found[name] = message_factory.GetMessageClass(descriptor)
    return found
