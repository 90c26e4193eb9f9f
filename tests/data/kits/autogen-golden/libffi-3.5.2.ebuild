# Distributed under the terms of the GNU General Public License v2

EAPI=7

DESCRIPTION="A virtual for the Foreign Function Interface implementation"
SLOT="0"
KEYWORDS="*"
RDEPEND=">=dev-libs/libffi-3.5.2
"
