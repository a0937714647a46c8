insert into orders (order_id, sku, quantity, refused)
values (?1, ?2, ?3, case
    when exists (select 1 from orders where order_id = ?1 and refused is null) then 'ordered before'
    when not exists (select 1 from stock where sku = ?2) then 'no such article'
    when (select left from stock where sku = ?2) < ?3 then 'out of stock'
end)
returning refused is null
