"""Whether anything is lost while the shop's programs are killed under its visitors' hands."""
