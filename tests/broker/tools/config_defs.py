#!/usr/bin/env python3
"""The settings that a ConfigDef's main() documents as HTML, one a line: name, type, default, valid values.

usage: config_defs.py FILE.html   (from: java -cp 'libs/*' org.apache.kafka.clients.producer.ProducerConfig)
"""
import html
import re
import sys

text = open(sys.argv[1], encoding="utf-8").read()
for item in re.split(r"\n<li>\n", "\n" + text)[1:]:
    name = re.search(r'<a id="([^"]*)"></a>', item).group(1)
    cell = {
        key: html.unescape(value)
        for key, value in re.findall(r"<tr><th>([^<]*):</th><td>(.*?)</td></tr>", item, re.S)
    }
    default = re.sub(r" \([0-9a-z .]*\)$", "", cell["Default"])
    valid = cell.get("Valid Values", "")
    print(name, cell["Type"], "" if default == '""' else default, valid, sep="\t")
