"""URLs: every address of Airy."""

from django.contrib import admin
from django.urls import include, path

from airy.api import api
from airy.export import export_page
from feeds.views.accounts import admin_login, admin_password

urlpatterns = [
    path("", include("feeds.urls")),
    path("", include("notifications.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("settings/export", export_page, name="export"),
    path("api/", api.urls),
    path("admin/login/", admin_login),
    path("admin/password_change/", admin_password),
    path("admin/", admin.site.urls),
]
