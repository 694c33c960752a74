{{- /* PACELINE_OPERATOR: JSON as contracts/operatorConfig.ts parses it; a key that is not known there stops the operator. */ -}}

{{- define "paceline.routerUrl" -}}
{{- $service := .Values.router.service -}}
{{- $port := ternary "" (printf ":%d" (int $service.port)) (eq (int $service.port) 80) -}}
{{- default (printf "http://%s-router.%s.svc%s" (include "paceline.fullname" .) .Release.Namespace $port) .Values.router.publicUrl -}}
{{- end -}}

{{- define "paceline.workerConfig" -}}
{{- $worker := .Values.worker -}}
{{- $auth := include "paceline.natsAuthSecret" . -}}
{{- $config := dict
  "image" (include "paceline.image" (dict "root" . "image" $worker.image))
  "imagePullPolicy" .Values.image.pullPolicy
  "imagePullSecrets" .Values.image.pullSecrets
  "serviceAccountName" (printf "%s-worker" (include "paceline.fullname" .))
  "runAsUser" (int $worker.runAsUser)
  "resources" $worker.resources
  "natsPasswordSecret" (dict "name" $auth "key" "worker")
  "httpPort" (int $worker.port)
  "scratchSize" $worker.scratchSize
  "labels" (merge (dict "app.kubernetes.io/instance" .Release.Name "app.kubernetes.io/part-of" "paceline") .Values.commonLabels $worker.podLabels)
  "annotations" $worker.podAnnotations -}}
{{- if $worker.cudaImage.repository -}}
{{- $_ := set $config "cudaImage" (include "paceline.image" (dict "root" . "image" $worker.cudaImage)) -}}
{{- end -}}
{{- toJson $config -}}
{{- end -}}

{{- define "paceline.modelCacheConfig" -}}
{{- $cache := .Values.modelCache -}}
{{- $config := dict
  "kind" $cache.kind
  "accessMode" $cache.accessMode
  "size" $cache.size
  "plainHttpHosts" $cache.plainHttpHosts
  "resources" $cache.resources -}}
{{- if $cache.storageClassName -}}
{{- $_ := set $config "storageClassName" (ternary "" $cache.storageClassName (eq $cache.storageClassName "-")) -}}
{{- end -}}
{{- with $cache.huggingFaceEndpoint -}}{{- $_ := set $config "huggingFaceEndpoint" . -}}{{- end -}}
{{- with $cache.huggingFaceToken.secretName -}}
{{- $_ := set $config "huggingFaceTokenSecret" (dict "name" . "key" $cache.huggingFaceToken.key) -}}
{{- end -}}
{{- $s3 := dict -}}
{{- range $key, $value := $cache.s3 -}}{{- if $value -}}{{- $_ := set $s3 $key $value -}}{{- end -}}{{- end -}}
{{- if $s3 -}}{{- $_ := set $config "s3" $s3 -}}{{- end -}}
{{- toJson $config -}}
{{- end -}}

{{- define "paceline.operatorConfig" -}}
{{- $operator := .Values.operator -}}
{{- $lease := dict "name" (printf "%s-operator" (include "paceline.fullname" .)) -}}
{{- range $key, $value := $operator.lease -}}{{- $_ := set $lease $key (int $value) -}}{{- end -}}
{{- dict
  "platform" (dict
    "kind" "kubernetes"
    "namespace" .Release.Namespace
    "lease" $lease
    "requests" (dict "perSecondMax" $operator.requests.perSecondMax "burstMax" (int $operator.requests.burstMax))
    "worker" (include "paceline.workerConfig" . | fromJson)
    "modelCache" (include "paceline.modelCacheConfig" . | fromJson))
  "nats" (dict "url" (include "paceline.natsUrl" .) "user" "operator")
  "http" (dict "host" "0.0.0.0" "port" (int $operator.port))
  "routerUrl" (include "paceline.routerUrl" .)
  "drainGraceMs" (mul (int .Values.worker.drainGraceSeconds) 1000)
  "logLevel" $operator.logLevel
  | toJson -}}
{{- end -}}
