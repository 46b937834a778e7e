-- the judge
select 1;
