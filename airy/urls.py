"""URLs: every address of Airy."""

from django.contrib import admin
from django.urls import include, path

from airy.api import api
from airy.health import healthz, readyz
from airy.metrics import metrics

urlpatterns = [
    path("", include("feeds.urls")),
    path("", include("notifications.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("api/", api.urls),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("admin/", admin.site.urls),
]
