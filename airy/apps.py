from django.apps import AppConfig


class AiryConfig(AppConfig):
    name = "airy"

    def ready(self) -> None:
        """Let every process say its version and its sessions."""
        from .figures import declare_figures

        declare_figures()
