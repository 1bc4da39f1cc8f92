#!/usr/bin/python3
"""Fills a Samba domain that was just provisioned: domain.py SMB.CONF KEYTAB.

Users ada, vera and eve, with the password Passw0rd.NAME. ada is in Guards,
which is in Security, which is in Building; vera is in none. svc-vms is the
account of HTTP/localhost, whose AES key goes into the keytab. Prints the SIDs
of the groups, and the domain's, as JSON."""
import json
import sys

import ldb
import samba.dckeytab  # gives Net its export_keytab
from samba.auth import system_session
from samba.net import Net
from samba.credentials import Credentials
from samba.param import LoadParm
from samba.samdb import SamDB

conf, keytab = sys.argv[1:]
lp = LoadParm()
lp.load(conf)
sam = SamDB(url=lp.private_path("sam.ldb"), session_info=system_session(), lp=lp)


def sid(name):
    found = sam.search(expression="(sAMAccountName=%s)" % name, attrs=["objectSid"])
    return str(sam.schema_format_value("objectSid", found[0]["objectSid"][0]), "utf8")


for name in ["ada", "vera", "eve", "svc-vms"]:
    sam.newuser(name, "Passw0rd." + name)
for name in ["Guards", "Security", "Building"]:
    sam.newgroup(name)
for group, member in [("Guards", "ada"), ("Security", "Guards"), ("Building", "Security")]:
    sam.add_remove_group_members(group, [member])
account = sam.search(expression="(sAMAccountName=svc-vms)")[0].dn
change = ldb.Message(account)
change["spn"] = ldb.MessageElement("HTTP/localhost", ldb.FLAG_MOD_ADD, "servicePrincipalName")
change["aes"] = ldb.MessageElement("24", ldb.FLAG_MOD_REPLACE, "msDS-SupportedEncryptionTypes")
sam.modify(change)
Net(Credentials(), lp).export_keytab(keytab=keytab, principal="HTTP/localhost")
print(json.dumps({name: sid(name) for name in ["Guards", "Security", "Building", "Domain Users"]}))
