{{- /*
A webhook's certificate, as JSON with crt, key and ca: those that are given, those that its Secret has for less than half
a year, or new ones, beside which the old ones are still trusted, as pods answer with them until their node has the new.
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
{{- $crt := trim $made.Cert }}
{{- $old := dig "data" "tls.crt" "" $held | b64dec }}
{{- dict "crt" $crt "key" (trim $made.Key) "ca" (print $crt "\n" $old | trim) "renewAfter" $renewAfter | toJson }}
{{- end }}
{{- end }}
