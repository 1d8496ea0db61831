"""A small mesh file: one workload that is meshed, one that is not, and one service that is opaque."""

MESH = """
namespace: shop
services:
  web-svc: {port: 80, targetPort: 8080, workload: web}
  feed-svc: {port: 9000, workload: web, opaque: true}
  cart-svc: {workload: cart}
workloads:
  web:
    command: [python, -m, web]
    env: {COLOUR: blue, POD_NAME: mine}
    outbound: [cart-svc]
  cart: {command: [./cart], meshed: false, outbound: [web-svc]}
"""
