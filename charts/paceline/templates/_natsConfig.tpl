{{- /* nats.conf; the users and what each may say come from contracts/permissions.ts, generated into files/. */ -}}
{{- define "paceline.natsConfig" -}}
{{- $jetstream := .Values.nats.jetstream -}}
host: "0.0.0.0"
port: 4222
http: "0.0.0.0:8222"
ping_interval: "5s"
ping_max: 2
write_deadline: "2s"
max_payload: 1MB
jetstream {
  store_dir: "/data"
  max_memory_store: {{ $jetstream.memoryStoreMax }}
  max_file_store: {{ $jetstream.fileStoreMax }}
}
{{- if include "paceline.natsTlsSecret" . }}
tls {
  cert_file: "/etc/nats-tls/tls.crt"
  key_file: "/etc/nats-tls/tls.key"
}
{{- end }}
{{ .Files.Get "files/nats-users.conf" }}
{{- end -}}
