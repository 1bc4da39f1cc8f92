#!/usr/bin/env bash
# Installs what the tests need and the machine lacks, and says so. The tests
# judge our files with ffprobe, our page with Chromium, our camera side with an
# RTSP server, our MQTT side with a broker and our syslog with an rsyslogd that we did not write, our doors
# with a Kerberos realm, an Active Directory domain and curl, keep sites in
# PostgreSQL, and make machines out of namespaces; nothing here is needed to run Understudy.
set -euo pipefail

missing=()
need() { # command or file, Debian package ...
	local what=$1
	shift
	if [[ $what == /* ]]; then [[ -e $what ]] && return; else command -v "$what" >/dev/null && return; fi
	missing+=("$@")
}

need ffprobe ffmpeg
need chromium chromium
need certutil libnss3-tools
need node nodejs
need npm npm
need strace strace
need tcpdump tcpdump
need ip iproute2
need nft nftables
need nsenter util-linux
need /usr/sbin/mosquitto mosquitto
need /usr/sbin/rsyslogd rsyslog
compgen -G '/usr/lib/*/rsyslog/lmnsd_gtls.so' >/dev/null || missing+=(rsyslog-gnutls)
compgen -G '/usr/lib/*/rsyslog/lmnsd_ossl.so' >/dev/null || missing+=(rsyslog-openssl)
need promtool prometheus
need systemd-analyze systemd
need man man-db
need curl curl
need kinit krb5-user
need /usr/sbin/krb5kdc krb5-kdc
need /usr/sbin/kadmin.local krb5-admin-server
need /usr/share/doc/samba-ad-dc samba-ad-dc
need /usr/share/samba/setup/provision.ldif samba-ad-provision
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null || missing+=(postgresql) # 15 or newer
if ! /usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0"); from gi.repository import GstRtspServer' 2>/dev/null; then
	missing+=(python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad)
fi

# An identity provider; npm ci takes the versions of package-lock.json and no other.
provider() (
	cd "$(dirname "${BASH_SOURCE[0]}")/../test/openid-provider"
	[[ node_modules/.package-lock.json -nt package-lock.json ]] && exit
	echo "installing the identity provider of test/openid-provider"
	npm ci --no-audit --no-fund --ignore-scripts --silent && touch node_modules/.package-lock.json
)

((${#missing[@]})) || { provider; exit; }
if ! command -v apt-get >/dev/null; then
	echo "the tests need: ${missing[*]} (Debian's names); install them and run this again" >&2
	exit 1
fi
sudo=()
((EUID == 0)) || sudo=(sudo)
echo "installing what the tests need and this machine lacks: ${missing[*]}"
"${sudo[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
provider
