{{- /* How every part reaches NATS: address, password, authority. */ -}}

{{- define "paceline.natsUrl" -}}
{{- if .Values.nats.external.url -}}
{{- .Values.nats.external.url -}}
{{- else -}}
{{- printf "%s://%s-nats.%s.svc:4222" (ternary "tls" "nats" .Values.nats.tls.enabled) (include "paceline.fullname" .) .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{- define "paceline.natsPort" -}}
{{- regexFind ":[0-9]+$" (.Values.nats.external.url | trimSuffix "/") | trimPrefix ":" | default "4222" -}}
{{- end -}}

{{- define "paceline.natsAuthSecret" -}}
{{- default (printf "%s-nats-auth" (include "paceline.fullname" .)) .Values.nats.auth.existingSecret -}}
{{- end -}}

{{- /* Empty: nothing to read, the system's authorities (or no TLS) do. */ -}}
{{- define "paceline.natsTlsSecret" -}}
{{- if .Values.nats.tls.enabled -}}
{{- if .Values.nats.tls.existingSecret -}}
{{- .Values.nats.tls.existingSecret -}}
{{- else if not .Values.nats.external.url -}}
{{- printf "%s-nats-tls" (include "paceline.fullname" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* (dict "root" $ "role" "router") */ -}}
{{- define "paceline.natsEnvironment" -}}
- name: PACELINE_NATS_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ include "paceline.natsAuthSecret" .root }}, key: {{ .role }} } }
{{- with include "paceline.natsTlsSecret" .root }}
- name: PACELINE_NATS_AUTHORITY
  valueFrom: { secretKeyRef: { name: {{ . }}, key: ca.crt } }
{{- end }}
{{- end -}}
