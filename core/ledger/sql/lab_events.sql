-- $1 the lab's name, $2 the whole text of its event file: one JSON object a line.
with line as materialized (
	select (l::jsonb ->> 'wall_ns')::numeric as wall_ns, l::jsonb ->> 'kind' as kind,
	       l::jsonb ->> 'subject' as subject, l::jsonb ->> 'detail' as detail, l::jsonb ->> 'edge' as edge
	from regexp_split_to_table($2, '\n') l
	where l like '{%}'
), event as (
	select to_timestamp(0) + trunc(b.wall_ns / 1000) * interval '1 microsecond' as at, b.kind, b.subject,
	       coalesce(e.detail, b.detail) as detail,
	       case when b.edge = 'instant' then null
	            else to_timestamp(0) + trunc(e.wall_ns / 1000) * interval '1 microsecond' end as until
	from line b
	left join lateral (
		select x.wall_ns, x.detail from line x
		where b.edge = 'begin' and x.edge = 'end' and x.kind = b.kind and x.subject = b.subject
		  and split_part(x.detail, ' ', 1) = split_part(b.detail, ' ', 1) and x.wall_ns > b.wall_ns
		order by x.wall_ns limit 1
	) e on true
	where b.edge <> 'end'
), known as (
	update mqaudit.event v set until = e.until, detail = e.detail
	from event e
	where v.lab = $1 and v.at = e.at and v.kind = e.kind and v.subject = e.subject
	  and (v.until is distinct from e.until or v.detail <> e.detail)
)
insert into mqaudit.event (lab, at, until, source, kind, subject, detail)
select $1, e.at, e.until, 'lab', e.kind, e.subject, e.detail from event e
where not exists (select from mqaudit.event v
                  where v.lab = $1 and v.at = e.at and v.kind = e.kind and v.subject = e.subject)
