#compdef linkerd2-py

_linkerd2_py_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _LINKERD2_PY_COMPLETE=complete_zsh linkerd2-py)
}

compdef _linkerd2_py_completion linkerd2-py
