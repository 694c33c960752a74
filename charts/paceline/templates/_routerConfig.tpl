{{- /* PACELINE_ROUTER: JSON as contracts/routerConfig.ts parses it. */ -}}
{{- define "paceline.routerConfig" -}}
{{- $router := .Values.router -}}
{{- $limits := dict
  "drainDelayMs" (mul (int $router.drain.delaySeconds) 1000)
  "drainGraceMs" (mul (int $router.drain.graceSeconds) 1000) -}}
{{- range $key, $value := $router.limits -}}{{- $_ := set $limits $key (int $value) -}}{{- end -}}
{{- dict
  "host" "0.0.0.0"
  "port" (int $router.port)
  "nats" (dict "url" (include "paceline.natsUrl" .) "user" "router")
  "logLevel" $router.logLevel
  "accessLog" $router.accessLog
  "limits" $limits
  | toJson -}}
{{- end -}}
