//! A database worth dumping.

use anyhow::Result;

use crate::postgres::Postgres;

const SQL: &str = include_str!("shop.sql");

/// Fills a new database of this name with a shop whose plain dump has about
/// `megabytes` MB: foreign keys, views, functions, a trigger, partitions, sequences,
/// extensions, roles and grants, row security, `bytea`, large objects, text in many
/// scripts. The same size always gives the same contents.
pub fn open(postgres: &Postgres, database: &str, megabytes: u32) -> Result<()> {
    postgres.create_database(database)?;
    postgres
        .psql_with(database, SQL, &[("mb", megabytes.to_string())])
        .map(drop)
}

/// A day of business: new orders and a few changes, about 1 % of the data.
pub fn trade(postgres: &Postgres, database: &str) -> Result<()> {
    let sql = "INSERT INTO shop.orders (id, placed, customer, state)
                   SELECT id + 100000000, placed, customer, 'offen' FROM shop.orders WHERE id % 100 = 0;
               UPDATE shop.products SET price = price + 1 WHERE id <= 3;";
    postgres.psql(database, sql).map(drop)
}
