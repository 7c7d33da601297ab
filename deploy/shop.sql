-- The first start of compose.yaml's PostgreSQL runs this: a database of apps, a schema for each, and one app in it: shop/acme.
CREATE DATABASE shop;
\connect shop
CREATE SCHEMA tenant_acme;
CREATE TABLE tenant_acme.orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    placed timestamptz NOT NULL DEFAULT now(),
    item text NOT NULL
);
INSERT INTO tenant_acme.orders (item) VALUES ('a chest'), ('a lock');
