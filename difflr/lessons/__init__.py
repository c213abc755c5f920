"""What the lessons in ``notebooks/`` share: checks of exercises with stepped hints, and self-tests.

One module per lesson, named after it, holds the lesson's checks and its quiz.
"""
