//! What can be claimed, and what becomes claimable meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::{PgArguments, PgRow};

use super::frontier::{Range, RowAvailability, Scope};
use super::internal_pool::InternalPool;
use super::rows::{self, bind};
use super::sql::statements;
use crate::store::sql::columns;
use crate::store::sql::number;
use crate::store::{Claimable, ClaimableRequest, NextPage, Subscription};

/// Microseconds for which rows are looked for that were scheduled for a time that has passed.
const LATE: i64 = 1_000_000;

/// Rows that are due wait like any other from then on. Some are left and are overdue: rows beyond
/// the limit of this look, and rows that another transaction has locked, for example the look of
/// another node, which may not claim them.
const DUE_NOW: &str = "\
with recursive moment as materialized (
    select {now} as now
), chosen as materialized (
    select ctid as row_ctid, due_at from {incoming}
    where status = 'scheduled' and due_at <= (select now from moment) and due_at >= $1
    order by due_at limit 1000
    for update skip locked
), due as (
    update {incoming} set status = 'incoming', due_at = null
    where ctid = any (array(select row_ctid from chosen))
    returning destination, message_type, sent_at
), overdue as (
    select min(due_at) as due_at from {incoming}
    where status = 'scheduled' and due_at <= (select now from moment) and due_at >= $1
        and ctid <> all (array(select row_ctid from chosen))
), ";

/// Steps from one subscription to the next, so that many rows cost no more than few, and ends with
/// the page ($4). What the node takes ($2, $3) is looked for by itself only where the page is not
/// all there is.
const WAITING: &str = "\
waiting as (
    (
        select destination, message_type, sent_at, 1::bigint as ordinal from {incoming}
        where status = 'incoming' and owner = 0 and $4::bigint > 0
            and (destination, message_type) > (coalesce($5::text, ''), coalesce($6::text, ''))
        order by destination, message_type, sent_at limit 1
    )
    union all
    select next.destination, next.message_type, next.sent_at, here.ordinal + 1
    from waiting here cross join lateral (
        select destination, message_type, sent_at from {incoming}
        where status = 'incoming' and owner = 0
            and (destination, message_type) > (here.destination, here.message_type)
        order by destination, message_type, sent_at limit 1
    ) next
    where here.ordinal < $4
), taken as (
    select takes.destination, takes.message_type, first.sent_at
    from unnest($2::text[], $3::text[]) as takes (destination, message_type)
        cross join lateral (
            select sent_at from {incoming} row
            where row.status = 'incoming' and row.owner = 0
                and row.destination = takes.destination
                and row.message_type = takes.message_type
            order by row.sent_at limit 1
        ) first
    where $5::text is not null or (select count(*) from waiting) >= $4
), found as (
    select ordinal, destination, message_type, sent_at from waiting
    union all
    select null, destination, message_type, sent_at from taken
)";

/// Looks only into these ranges.
const WAITING_IN: &str = "\
found as (
    select wanted.ordinal, wanted.destination, wanted.message_type, first.sent_at
    from unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) with ordinality
            as wanted (destination, message_type, since, until, ordinal)
        cross join lateral (
            select sent_at from {incoming} row
            where row.status = 'incoming' and row.owner = 0
                and row.destination = wanted.destination
                and row.message_type = wanted.message_type
                and row.sent_at >= wanted.since and row.sent_at <= wanted.until
            order by row.sent_at limit 1
        ) first
)";

/// The last row has the time until the next row is due, the present, the oldest `due_at` of the
/// rows that are overdue (or null), and how long the statement took.
const ANSWERS: &str = "
select 0, destination, message_type, sent_at, ordinal, null::bigint, null::bigint from found
union all
select 1, destination, message_type, sent_at, null, null, null from due
union all
select 2, null, null, case
    when overdue.due_at is not null then 0
    else (
        select min(due_at) from {incoming}
        where status = 'scheduled' and due_at > (select now from moment)
    ) - {now}
end, moment.now, overdue.due_at,
    (extract(epoch from clock_timestamp() - statement_timestamp()) * 1000000)::bigint
from overdue, moment";

statements!(ClaimableSql {
    all: [DUE_NOW, WAITING, ANSWERS].concat(),
    known: [DUE_NOW, WAITING_IN, ANSWERS].concat(),
});

/// The answer of either.
#[derive(Default)]
struct Found {
    /// When the first row of each pair was sent.
    firsts: HashMap<Subscription, i64>,
    /// The same with the ordinal of each in the page, or that of its range, from 1.
    page: Vec<(usize, Subscription, i64)>,
    due: Vec<(Subscription, i64)>,
    next_due: Option<Duration>,
    now: i64,
    /// Up to where rows were due, where more may be.
    due_until: Option<i64>,
    /// How long it took at the server.
    cost: Duration,
}

pub(super) async fn find(
    internal: &InternalPool,
    request: &ClaimableRequest,
) -> sqlx::Result<Claimable> {
    internal.frontier.takes(&request.takes);
    let (asking, scope, due_since) = internal.frontier.look();
    let mut arguments = PgArguments::default();
    bind(&mut arguments, due_since)?;
    let mut claimable = Claimable::default();
    let found = match &scope {
        Scope::Full => {
            bind_request(request, &mut arguments)?;
            let query = sqlx::query_with(internal.sql.claimable.all.clone(), arguments);
            let found = Found::read(&internal.rows(query).await?)?;
            claimable.next_page = found.at(request.page).cloned().into();
            let (now, cost, due_since) = (found.now, found.cost, found.due_since());
            let is_seen = |pair: &_| found.is_seen(pair, request);
            asking.looked(now, cost, due_since, &found.firsts, is_seen);
            claimable.next_due = found.next_due;
            found
        }
        Scope::Known(ranges) => {
            bind_ranges(ranges, &mut arguments)?;
            let query = sqlx::query_with(internal.sql.claimable.known.clone(), arguments);
            let found = Found::read(&internal.rows(query).await?)?;
            claimable.next_page = NextPage::Unseen;
            let rest = asking.looked_at(ranges, &found.ordinals(), found.due_since());
            // Where nothing was found past what is claimed, there may be something older.
            let rest = Some(rest).filter(|_| found.firsts.is_empty() && found.due.is_empty());
            claimable.next_due = [found.next_due, rest].into_iter().flatten().min();
            found
        }
    };
    let due = found.due.iter().cloned();
    internal
        .frontier
        .change()
        .note(due.map(|(pair, sent_at)| RowAvailability::Unowned(pair, sent_at)));
    let is_whole = matches!(scope, Scope::Full) && found.is_whole(request);
    let due = found
        .due
        .into_iter()
        .map(|(pair, _)| pair)
        .filter(|pair| is_whole || request.takes.contains(pair));
    claimable.now = found.firsts.into_keys().chain(due).collect();
    claimable.now.sort_unstable();
    claimable.now.dedup();
    Ok(claimable)
}

fn bind_request(request: &ClaimableRequest, arguments: &mut PgArguments) -> sqlx::Result<()> {
    let (takes, after) = (request.takes.iter(), request.after.as_ref());
    bind(arguments, takes.clone().map(|s| s.destination.as_str()).collect::<Vec<_>>())?;
    bind(arguments, takes.map(|s| s.message_type.as_str()).collect::<Vec<_>>())?;
    bind(arguments, number::limit(request.page))?;
    bind(arguments, after.map(|after| after.destination.as_str()))?;
    bind(arguments, after.map(|after| after.message_type.as_str()))
}

fn bind_ranges(ranges: &[Range<Subscription>], arguments: &mut PgArguments) -> sqlx::Result<()> {
    bind(arguments, destinations(ranges))?;
    bind(arguments, types(ranges))?;
    bind(arguments, ranges.iter().map(|range| range.since).collect::<Vec<_>>())?;
    bind(arguments, ranges.iter().map(|range| range.until).collect::<Vec<_>>())
}

/// The first two arrays by which a statement is given ranges.
pub(super) fn destinations(ranges: &[Range<Subscription>]) -> Vec<&str> {
    ranges.iter().map(|range| range.pair.destination.as_str()).collect()
}

pub(super) fn types(ranges: &[Range<Subscription>]) -> Vec<&str> {
    ranges.iter().map(|range| range.pair.message_type.as_str()).collect()
}

impl Found {
    fn read(rows: &[PgRow]) -> sqlx::Result<Self> {
        let mut found = Self::default();
        for row in rows {
            match row.try_get::<i32, _>(0)? {
                0 => {
                    let (pair, sent_at) = rows::pair_and_time(row, 1)?;
                    if let Some(ordinal) = row.try_get::<Option<i64>, _>(4)? {
                        let ordinal = usize::try_from(ordinal).unwrap_or(usize::MAX);
                        found.page.push((ordinal, pair.clone(), sent_at));
                    }
                    found.firsts.insert(pair, sent_at);
                }
                1 => found.due.push(rows::pair_and_time(row, 1)?),
                _ => {
                    found.next_due = columns::span(row, 3)?;
                    found.now = row.try_get(4)?;
                    found.due_until = row.try_get(5)?;
                    found.cost = Duration::from_micros(number::total(row.try_get(6)?));
                }
            }
        }
        Ok(found)
    }

    /// From when on the next look has to see which rows are due.
    fn due_since(&self) -> i64 {
        self.due_until.unwrap_or(self.now.saturating_sub(LATE))
    }

    /// The pair at this ordinal of the page, from 1.
    fn at(&self, ordinal: usize) -> Option<&Subscription> {
        self.page.iter().find(|(at, ..)| *at == ordinal).map(|(_, pair, _)| pair)
    }

    /// When the first row of each range was sent, by the ordinal of the range, from 0.
    fn ordinals(&self) -> HashMap<usize, i64> {
        let ordinals = self.page.iter();
        ordinals.filter_map(|(ordinal, _, first)| Some((ordinal.checked_sub(1)?, *first))).collect()
    }

    /// Whether the page is all there is.
    fn is_whole(&self, request: &ClaimableRequest) -> bool {
        request.after.is_none() && self.page.len() < request.page
    }

    /// Whether rows of this pair would have been found.
    fn is_seen(&self, pair: &Subscription, request: &ClaimableRequest) -> bool {
        self.is_whole(request) || self.firsts.contains_key(pair) || request.takes.contains(pair)
    }
}
