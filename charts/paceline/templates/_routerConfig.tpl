{{- /* PACELINE_ROUTER: JSON as contracts/routerConfig.ts parses it. */ -}}
{{- define "paceline.routerConfig" -}}
{{- $router := .Values.router -}}
{{- $limits := dict
  "drainDelayMs" (mul (int $router.drain.delaySeconds) 1000)
  "drainGraceMs" (mul (int $router.drain.graceSeconds) 1000) -}}
{{- range $key, $value := $router.limits -}}{{- $_ := set $limits $key (int $value) -}}{{- end -}}
{{- $tracing := dict "serviceName" $router.tracing.serviceName "sampleRatio" $router.tracing.sampleRatio -}}
{{- with $router.tracing.endpoint -}}{{- $_ := set $tracing "endpoint" . -}}{{- end -}}
{{- $traffic := ternary (dict "trafficFolder" "/var/lib/paceline/traffic") dict $router.trafficLog.enabled -}}
{{- dict
  "host" "0.0.0.0"
  "port" (int $router.port)
  "nats" (dict "url" (include "paceline.natsUrl" .) "user" "router")
  "logLevel" $router.logLevel
  "accessLog" $router.accessLog
  "tracing" $tracing
  "limits" $limits
  | merge $traffic
  | toJson -}}
{{- end -}}
