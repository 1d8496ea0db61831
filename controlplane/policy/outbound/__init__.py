"""How traffic from the mesh is treated: what `OutboundPolicies` answers.

`targets` reads what is asked, `resolve` finds what that is in the mesh, `annotated` reads what services say
of retries, timeouts and breakers (`terms`: of one service for all of its routes). `backends` and the modules
of each kind of route (`http`, `grpc`, `connections`) write messages, which `policy` joins to an answer;
`topics` say what may change it, `answers` keep it, and `outbound` is the component.
"""
