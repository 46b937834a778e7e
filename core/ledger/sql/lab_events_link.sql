-- $1 a cluster's name, $2 its hosts: "host:port,host:port".
update mqaudit.run set lab = $1
where lab is null and ended is null
  and string_to_array(split_part(split_part(destination, '://', 2), '/', 1), ',') && string_to_array($2, ',')
