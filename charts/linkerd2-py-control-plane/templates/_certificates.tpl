{{- /*
A webhook's certificate, as JSON with crt, key and ca: those that are given, those that its Secret has for less than half
a year, or new ones. So an upgrade does not change what API servers trust while pods still answer with the old ones.
*/ -}}
{{- define "linkerd2-py.webhook-certificate" -}}
{{- $given := .given }}
{{- $held := lookup "v1" "Secret" .namespace .secret | default dict }}
{{- $renewAfter := dig "metadata" "annotations" "linkerd2-py/renew-after" "0" $held }}
{{- if $given.externalSecret }}
{{- dict "crt" "" "key" "" "ca" (trim $given.caBundle) | toJson }}
{{- else if $given.crtPEM }}
{{- $crt := trim $given.crtPEM }}
{{- dict "crt" $crt "key" (trim $given.keyPEM) "ca" (default $crt (trim $given.caBundle)) | toJson }}
{{- else if gt (int64 $renewAfter) (int64 (now | unixEpoch)) }}
{{- $crt := index $held.data "tls.crt" | b64dec }}
{{- dict "crt" $crt "key" (index $held.data "tls.key" | b64dec) "ca" $crt "renewAfter" $renewAfter | toJson }}
{{- else }}
{{- $made := genSelfSignedCert .host (list) (list .host) 365 }}
{{- $renewAfter = add (int64 (now | unixEpoch)) 15552000 | toString }}
{{- dict "crt" (trim $made.Cert) "key" (trim $made.Key) "ca" (trim $made.Cert) "renewAfter" $renewAfter | toJson }}
{{- end }}
{{- end }}
