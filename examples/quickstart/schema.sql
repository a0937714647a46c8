create table if not exists stock (
    sku  text primary key,
    left integer not null check (left >= 0)
);

-- No unique key here or on e-mails: an order or an e-mail that took effect twice would show.
create table if not exists orders (
    order_id text not null,
    sku      text not null,
    quantity integer not null check (quantity > 0),
    refused  text
);

create index if not exists orders_by_id on orders (order_id);

create trigger if not exists orders_take_from_stock
after insert on orders when new.refused is null
begin
    update stock set left = left - new.quantity where sku = new.sku;
end;

create table if not exists emails (
    order_id text not null,
    address  text not null
);

create view if not exists summary as
select 'stored' as what, count(*) as count from orders where refused is null
union all
select * from (
    select 'refused: ' || refused, count(*) from orders where refused is not null group by refused
)
union all
select 'e-mails', count(*) from emails
union all
select 'dead letters', count(*) from jasper_dead_letters;

insert or ignore into stock (sku, left) values
    ('mug', 1000000),
    ('tea-oolong', 1000000),
    ('tea-assam', 1000000),
    ('kettle', 1000000),
    ('strainer', 1000000),
    ('tin', 1000000),
    ('scale', 1000000),
    ('whisk', 1000000),
    ('teapot-blue', 0),
    ('samovar', 0);
