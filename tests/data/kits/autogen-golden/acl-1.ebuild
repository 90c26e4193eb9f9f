# Distributed under the terms of the GNU General Public License v2

EAPI=7

DESCRIPTION="Virtual for acl support (sys/acl.h)"
SLOT="0"
KEYWORDS="*"
IUSE="static-libs"
RDEPEND="sys-apps/acl[static-libs?]
	
"
